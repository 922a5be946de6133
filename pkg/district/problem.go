package district

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one broken rule of a district package.
type Problem struct {
	// File inside the package, such as needs.yaml.
	File string
	// Line the problem stands on, counted from 1.
	Line int
	// Rule that is broken, naming the entry and the value.
	Rule string
}

// String is the form editors and terminals can jump to.
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Rule) }

// Problems is everything found wrong with a package; a service that gets it refuses to start.
type Problems []Problem

// Error lists every problem on a line of its own, in the order of the files.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts the problems into the order somebody would mend them in, and the same order every time.
func (ps Problems) sorted() Problems {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return ps
}
