//go:build !twin_naive_cursor

package feed

// moveSQL moves what has become visible to the end of the feed; see the function's own comment.
const moveSQL = "SELECT sequence_feed($1)"
