//go:build !twin_lazy_commit

package postgres

// synchronousCommit has a commit wait for the disk.
const synchronousCommit = "on"
