package district

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// readers say who reads which file of a package.
var readers = map[string]func(*loader) func(){
	districtFile: (*loader).readDistrict, sourcesFile: (*loader).readSources, divisionsFile: (*loader).readDivisions, unitsFile: (*loader).readUnits,
	dutiesFile: (*loader).readDuties, clocksFile: (*loader).readClocks, needsFile: (*loader).readNeeds, measuresFile: (*loader).readMeasures,
	situationsFile: (*loader).readSituations, accessFile: (*loader).readAccess, officersFile: (*loader).readOfficers,
	programmesFile: (*loader).readProgrammes, budgetsFile: (*loader).readBudgets, bankFile: (*loader).readBank, codesFile: (*loader).readCodes,
	path.Join(calendarFolder, "2026.csv"): (*loader).readCalendar,
}

// without is a package that lacks what one file gives in lists, which its reader lengthens.
func without(d District, file string) *District {
	switch file {
	case divisionsFile:
		d.divisions = nil
	case unitsFile:
		d.units = nil
	case clocksFile:
		d.clocks = nil
	case needsFile:
		d.needs = nil
	case measuresFile:
		d.responses = nil
	case situationsFile:
		d.situations = nil
	case accessFile:
		d.rules = nil
	case officersFile:
		d.officers = nil
	case programmesFile:
		d.standards, d.programmes = nil, nil
	}
	d.placeholders, d.defaults = nil, nil
	return &d
}

// One file of the package with other content, beside the others as they are, is read or told as problems with their places.
// Only that file is read anew, so that thousands can be tried where a whole package would allow tens.
func FuzzDistrictFile(f *testing.F) {
	whole, err := Load(xinbei)
	if err != nil {
		f.Fatal(err)
	}
	contents := map[string][]byte{}
	others := &loader{d: &District{}, contents: contents, documents: map[string]*document{}} // a check may point into another file
	names := slices.Sorted(maps.Keys(readers))
	for i, name := range names {
		if contents[name], err = fs.ReadFile(os.DirFS(xinbei), name); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), contents[name])
		f.Add(uint8(i), []byte("a: [b, {c: d}]\n"))
		f.Add(uint8(i), []byte("code,name\n\"x"))
	}
	for _, name := range names {
		readers[name](others)
	}
	f.Add(uint8(0), []byte("!")) // null by its tag, so that the entries of other files lack their owners
	for _, name := range fileNames {
		if readers[name] == nil {
			f.Errorf("nobody reads %s here", name)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		name := names[int(which)%len(names)]
		l := &loader{d: without(*whole, name), contents: map[string][]byte{name: content}, documents: map[string]*document{}}
		for other, d := range others.documents {
			l.documents[other] = &document{l: l, file: other, root: d.root}
		}
		if check := readers[name](l); len(l.problems) == 0 {
			check()
		}
		var told Problems
		if len(l.problems) > 0 && !errors.As(l.problems.sorted(), &told) {
			t.Fatal("problems that are none")
		}
		for _, p := range told {
			text := content
			if p.File != name {
				text = contents[p.File]
			}
			if readers[p.File] == nil || p.Line < 1 || p.Line > strings.Count(string(text), "\n")+1 || p.Rule == "" {
				t.Errorf("a problem of %s is told as %s:%d %s", name, p.File, p.Line, p.Rule)
			}
		}
	})
}
