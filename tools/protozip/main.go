// Command protozip packs a folder into a zip archive on standard output whose bytes depend on the files' names and content alone:
// sorted, all of one time, without owners or modes. What `zip` makes differs from run to run, and a partner could not tell whether the
// contract had changed.
package main

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protozip FOLDER > ARCHIVE")
		os.Exit(2)
	}
	if err := pack(os.Stdout, os.DirFS(os.Args[1])); err != nil {
		fmt.Fprintln(os.Stderr, "protozip:", err)
		os.Exit(1)
	}
}

// pack relies on fs.WalkDir's lexical order. The time is the first one the format can hold: no time at all reads as month 0, which
// strict readers refuse.
func pack(out io.Writer, folder fs.FS) error {
	archive := zip.NewWriter(out)
	epoch := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		file, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch})
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return archive.Close()
}
