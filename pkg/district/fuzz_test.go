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

// One file of the package with other content, beside the others as they are, is read or told as problems with their places in that file.
// Only that file is read anew, so that thousands can be tried where a whole package would allow tens.
func FuzzDistrictFile(f *testing.F) {
	whole, err := Load(xinbei)
	if err != nil {
		f.Fatal(err)
	}
	contents := map[string][]byte{}
	names := slices.Sorted(maps.Keys(readers))
	for i, name := range names {
		if contents[name], err = fs.ReadFile(os.DirFS(xinbei), name); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), contents[name])
		f.Add(uint8(i), []byte("a: [b, {c: d}]\n"))
		f.Add(uint8(i), []byte("code,name\n\"x"))
	}
	for _, name := range fileNames {
		if readers[name] == nil {
			f.Errorf("nobody reads %s here", name)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		name := names[int(which)%len(names)]
		d := *whole
		l := &loader{d: &d, contents: map[string][]byte{name: content}, documents: map[string]*document{}}
		if check := readers[name](l); len(l.problems) == 0 {
			check()
		}
		var told Problems
		if len(l.problems) > 0 && !errors.As(l.problems.sorted(), &told) {
			t.Fatal("problems that are none")
		}
		for _, p := range told {
			if p.File != name || p.Line < 1 || p.Line > strings.Count(string(content), "\n")+1 || p.Rule == "" {
				t.Errorf("a problem of %s is told as %s:%d %s", name, p.File, p.Line, p.Rule)
			}
		}
	})
}
