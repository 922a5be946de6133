package district

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// The files of a package. Every one of them must be there; calendar/<year>.csv may be missing for any year.
const (
	districtFile   = "district.yaml"
	sourcesFile    = "sources.yaml"
	divisionsFile  = "divisions.csv"
	unitsFile      = "units.yaml"
	dutiesFile     = "duties.yaml"
	clocksFile     = "clocks.yaml"
	needsFile      = "needs.yaml"
	measuresFile   = "measures.yaml"
	situationsFile = "situations.yaml"
	accessFile     = "access.yaml"
	officersFile   = "officers.yaml"
	programmesFile = "programmes.yaml"
	budgetsFile    = "budgets.yaml"
	bankFile       = "bank.yaml"
	codesFile      = "codes.yaml"
	calendarFolder = "calendar"
)

var fileNames = []string{
	districtFile, sourcesFile, divisionsFile, unitsFile, dutiesFile, clocksFile, needsFile, measuresFile,
	situationsFile, accessFile, officersFile, programmesFile, budgetsFile, bankFile, codesFile,
}

// loader reads one package and collects what is wrong with it.
type loader struct {
	d         *District
	contents  map[string][]byte
	documents map[string]*document
	problems  Problems
}

func (l *loader) fail(file string, line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: file, Line: line, Rule: fmt.Sprintf(format, args...)})
}

// gather reads every file by its name instead of walking the tree: in a container the files may be links, which a
// walk does not follow. Names that begin with a dot belong to the machine, all others must be known.
func (l *loader) gather(fsys fs.FS) error {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return fmt.Errorf("read the district package: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || name == calendarFolder || slices.Contains(fileNames, name) {
			continue
		}
		l.fail(name, 1, "%s is no file of a district package", name)
	}
	for _, name := range fileNames {
		if err := l.gatherFile(fsys, name); err != nil {
			return err
		}
	}
	years, err := fs.ReadDir(fsys, calendarFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the district package: %w", err)
	}
	for _, e := range years {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := l.gatherFile(fsys, path.Join(calendarFolder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) gatherFile(fsys fs.FS, name string) error {
	content, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		l.fail(name, 1, "%s is missing", name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the district package: %w", err)
	}
	l.contents[name] = content
	return nil
}

// digest is hex SHA-256 over path, length and bytes of every file in the order of the paths. The lengths keep two
// packages apart whose files only differ in where one ends and the next begins.
func digest(contents map[string][]byte) string {
	names := make([]string, 0, len(contents))
	for name := range contents {
		names = append(names, name)
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		for _, part := range [][]byte{[]byte(name), contents[name]} {
			sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			sum.Write(part)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// document is a YAML file that was read; it finds the line of an entry for the problems found later.
type document struct {
	l    *loader
	file string
	root *yaml.Node
}

// yamlProblem is how the YAML library words a problem it can place.
var (
	yamlProblem  = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type .*$`)
	goType       = regexp.MustCompile(` into (\S+)$`)
)

// parse decodes a file strictly: a key nobody knows and a second document are problems.
func parse[T any](l *loader, file string) (T, *document) {
	var value T
	doc := &document{l: l, file: file}
	l.documents[file] = doc
	content, ok := l.contents[file]
	if !ok {
		return value, doc
	}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		doc.yamlError(err)
		return value, doc
	}
	if len(root.Content) == 0 {
		l.fail(file, 1, "the file is empty")
		return value, doc
	}
	doc.root = root.Content[0]
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&value); err != nil {
		doc.yamlError(err)
		return value, doc
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		l.fail(file, 1, "the file holds more than one document")
	}
	return value, doc
}

func (f *document) yamlError(err error) {
	lines := []string{err.Error()}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		lines = typed.Errors
	}
	for _, text := range lines {
		line, rule := 1, text
		if m := yamlProblem.FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1])
			rule = m[2]
		}
		if m := unknownField.FindStringSubmatch(rule); m != nil {
			rule = fmt.Sprintf("key %q is not known here", m[1])
		}
		f.l.fail(f.file, line, "%s", goType.ReplaceAllString(rule, " into what belongs here"))
	}
}

// at is the way to an entry of a YAML file: keys and positions in lists.
type at []any

// line of the deepest entry on the way that exists.
func (f *document) line(way at) int {
	node, line := f.root, 1
	for _, step := range way {
		next, nextLine := child(node, step)
		if next == nil {
			break
		}
		node, line = next, nextLine
	}
	return line
}

func child(node *yaml.Node, step any) (*yaml.Node, int) {
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step < len(node.Content) {
			return node.Content[step], node.Content[step].Line
		}
	case string:
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1], node.Content[i].Line
			}
		}
	}
	return nil, 0
}

func (f *document) fail(way at, format string, args ...any) {
	f.l.fail(f.file, f.line(way), format, args...)
}

// text demands words in every named field of an entry.
func (f *document) text(way at, what string, fields ...string) {
	for i := 0; i+1 < len(fields); i += 2 {
		if strings.TrimSpace(fields[i+1]) == "" {
			f.fail(way, "%s: %s is missing", what, fields[i])
		}
	}
}

// indexed finds entries by their key and reports a key that is missing or stands twice in the list.
func indexed[T any](f *document, list string, entries []T, keyName string, key func(T) string) map[string]T {
	found := make(map[string]T, len(entries))
	for i, entry := range entries {
		k := key(entry)
		if k == "" {
			f.fail(at{list, i}, "an entry of %s has no %s", list, keyName)
			continue
		}
		if _, twice := found[k]; twice {
			f.fail(at{list, i, keyName}, "%s %s stands twice", keyName, k)
			continue
		}
		found[k] = entry
	}
	return found
}

// day and length read text through the YAML library's own error type: only that keeps the line.
type day struct{ calendar.Date }

// UnmarshalYAML reads YYYY-MM-DD.
func (d *day) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := calendar.ParseDate(node.Value)
	d.Date = parsed
	return placed(node, err)
}

type length struct{ calendar.Length }

// UnmarshalYAML reads 2h, 3d, 5wd, 1mo.
func (l *length) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := calendar.ParseLength(node.Value)
	l.Length = parsed
	return placed(node, err)
}

func placed(node *yaml.Node, err error) error {
	if err == nil {
		return nil
	}
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %v", node.Line, err)}}
}
