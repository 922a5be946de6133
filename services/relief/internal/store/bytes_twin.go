//go:build twin_text_file

package store

import "bytes"

// asExported keeps a bank file as if it were a text, without its last line end. The storm must catch it.
func asExported(content []byte) []byte { return bytes.TrimRight(content, "\r\n") }
