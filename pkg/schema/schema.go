// Package schema holds the tables that every service's database has: request ids, custody points, outbox and feed,
// follower cursors, grants and audit. A service's own migrations follow them, numbered from 00100.
package schema

import (
	"embed"
	"io/fs"
	"sort"
)

//go:embed *.sql
var runtime embed.FS

// With joins the runtime's migrations with a service's own (numbers from 00100 up) into one folder for
// postgres.Migrate. A name present in both would shadow silently, so the service's numbers must not start below.
func With(service fs.FS) fs.FS { return joined{runtime, service} }

type joined struct{ first, second fs.FS }

// Open implements fs.FS.
func (j joined) Open(name string) (fs.File, error) {
	if f, err := j.first.Open(name); err == nil && name != "." {
		return f, nil
	}
	return j.second.Open(name)
}

// ReadDir implements fs.ReadDirFS.
func (j joined) ReadDir(name string) ([]fs.DirEntry, error) {
	a, err := fs.ReadDir(j.first, name)
	if err != nil {
		return nil, err
	}
	b, err := fs.ReadDir(j.second, name)
	if err != nil {
		return nil, err
	}
	all := append(a, b...)
	sort.Slice(all, func(i, k int) bool { return all[i].Name() < all[k].Name() })
	return all, nil
}

// Glob implements fs.GlobFS, which goose uses to list migrations.
func (j joined) Glob(pattern string) ([]string, error) {
	a, err := fs.Glob(j.first, pattern)
	if err != nil {
		return nil, err
	}
	b, err := fs.Glob(j.second, pattern)
	if err != nil {
		return nil, err
	}
	all := append(a, b...)
	sort.Strings(all)
	return all, nil
}
