package district

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
)

// One file of the package with other content is loaded or told as problems with their places; loading never fails otherwise.
func FuzzDistrictFile(f *testing.F) {
	whole := fstest.MapFS{}
	var names []string
	err := fs.WalkDir(os.DirFS(xinbei), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(os.DirFS(xinbei), name)
		whole[name] = &fstest.MapFile{Data: content}
		names = append(names, name)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for i, name := range names {
		if content := whole[name].Data; len(content) < 4096 {
			f.Add(uint8(i), content)
		}
		f.Add(uint8(i), []byte("a: [b, {c: d}]\n"))
		f.Add(uint8(i), []byte("code,name\n\"x"))
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		changed := fstest.MapFS{}
		for name, file := range whole {
			changed[name] = file
		}
		changed[names[int(which)%len(names)]] = &fstest.MapFile{Data: content}
		d, err := LoadFS(changed)
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0) {
			t.Errorf("loading failed with %v", err)
		}
		if err == nil && d.Digest() == "" {
			t.Error("a package without a digest")
		}
	})
}
