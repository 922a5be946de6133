//go:build twin_lazy_commit

package postgres

// synchronousCommit has nobody wait for the disk: a crash takes back what was acknowledged. The storm must catch it.
const synchronousCommit = "off"
