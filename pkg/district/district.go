// Package district is one district as data: its divisions, units, duties, needs, clocks, measures, officers, relief
// programmes and who may do what. Another district is another folder, no code.
//
// A package is read once at start, checked as a whole and refused as a whole, with file, line and rule of everything
// that is wrong. What Load answers never changes and may be shared between goroutines; slices inside the values it
// hands out are shared and must not be written to. After Load nothing here does any I/O.
package district

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/lianhu/lianhu/pkg/calendar"
)

// District is a whole, checked package.
type District struct {
	info   districtEntry
	digest string

	sources    map[string]Source
	divisions  []Division
	divisionAt map[string]int
	stationOf  map[string]string
	units      []Unit
	unitAt     map[string]int
	duties     []Duty
	dutyAt     map[string]int
	clocks     []Clock
	clockAt    map[string]int
	lead       Lead
	operator   string
	needs      []Need
	needAt     map[string]int
	measures   []Measure
	measureAt  map[string]int
	responses  []Response
	responseAt map[string]int
	situations []Situation
	situation  map[string]int
	roles      []Role
	rules      []Permission
	titleList  []Title
	officers   []Officer
	officerAt  map[string]int
	standards  []Standard
	programmes []Programme
	budgets    []Budget
	bank       Bank
	codeTables []CodeTable
	codes      map[string]map[string]Code
	incidents  IncidentRules
	calendar   *calendar.Calendar

	placeholders []Placeholder
	defaults     []Default
}

type districtEntry struct {
	Code    string `yaml:"code"`
	Version string `yaml:"version"`
	ZH      string `yaml:"zh"`
	EN      string `yaml:"en"`
}

var versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)

// Load reads the package in a folder. The error is Problems when the package was read and is wrong.
func Load(dir string) (*District, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%q is no folder of a district package; name one in DISTRICT_DIR (districts/xinbei from the root of the repository)", dir)
	}
	return LoadFS(os.DirFS(dir))
}

// LoadFS reads the package at the root of fsys; see Load.
func LoadFS(fsys fs.FS) (*District, error) {
	l := &loader{d: &District{}, contents: map[string][]byte{}, documents: map[string]*document{}}
	if err := l.gather(fsys); err != nil {
		return nil, err
	}
	// Every file is decoded before any is checked: a reference into a file that could not be read would only add
	// noise to the one problem that matters.
	checks := []func(){
		l.readDistrict(), l.readSources(), l.readDivisions(), l.readCalendar(), l.readUnits(), l.readDuties(),
		l.readClocks(), l.readNeeds(), l.readMeasures(), l.readSituations(), l.readAccess(), l.readOfficers(),
		l.readProgrammes(), l.readBudgets(), l.readBank(), l.readCodes(),
	}
	if len(l.problems) > 0 {
		return nil, l.problems.sorted()
	}
	for _, check := range checks {
		check()
	}
	if len(l.problems) > 0 {
		return nil, l.problems.sorted()
	}
	l.d.digest = digest(l.contents)
	return l.d, nil
}

func (l *loader) readDistrict() func() {
	entry, doc := parse[districtEntry](l, districtFile)
	l.d.info = entry
	return func() {
		doc.text(nil, "district", "code", entry.Code, "zh", entry.ZH, "en", entry.EN)
		if !versionForm.MatchString(entry.Version) {
			doc.fail(at{"version"}, "version %q: want numbers with dots between, such as 2026.1", entry.Version)
		}
		if v, ok := l.d.Division(entry.Code); !ok || v.Level != LevelDistrict {
			doc.fail(at{"code"}, "code %s is not the district of %s", entry.Code, divisionsFile)
		}
	}
}

// Digest is hex SHA-256 over all files of the package. Two services that show different digests work by different
// rules, which is an alarm.
func (d *District) Digest() string { return d.digest }

// Version is the number people gave the package; it is raised with every change put into service.
func (d *District) Version() string { return d.info.Version }

// Code is the district's 12-digit division code.
func (d *District) Code() string { return d.info.Code }

// ZH is the district's name in Chinese.
func (d *District) ZH() string { return d.info.ZH }

// EN is the district's name in English.
func (d *District) EN() string { return d.info.EN }
