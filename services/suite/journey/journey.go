// Package journey plays a matter that is written down as data: who calls what, how long nothing happens, and what must come
// of it. It speaks to the suite as outsiders do, through the gateway with units' certificates, and builds every request from the
// published contract alone.
package journey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// FileName of a journey in its folder.
const FileName = "journey.yaml"

// Journey is a matter as data.
type Journey struct {
	// Name is stable and short; it is part of the request ids.
	Name string `yaml:"name"`
	// ZH and EN are its titles.
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
	// People are invented anew for each run.
	People map[string]Person `yaml:"people"`
	// Values are plain variables.
	Values map[string]any `yaml:"values"`
	// Steps in their order.
	Steps []Step `yaml:"steps"`
}

// Step is one thing that happens. It is a call, a passing of time, the bank's part, or a stream of a dispatch system.
type Step struct {
	// ZH and EN say what happens, for the timeline.
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`

	// As is the unit that calls, Officer who acts for it, Purpose why.
	As      string `yaml:"as"`
	Officer string `yaml:"officer"`
	Purpose string `yaml:"purpose"`
	// Call is the method as `<package>.<Service>/<Method>`.
	Call string `yaml:"call"`
	// Request in the contract's JSON form. `${name}` and `${person.field}` stand for variables.
	Request map[string]any `yaml:"request"`
	// Save keeps parts of the answer: variable name → CEL expression over `answer` and `vars`.
	Save map[string]string `yaml:"save"`
	// Check lists CEL conditions over `answer` and `vars` that must hold.
	Check []string `yaml:"check"`
	// Refused is the error reason that must come instead of an answer, with metadata entries that must be there.
	Refused  string            `yaml:"refused"`
	Metadata map[string]string `yaml:"metadata"`
	// Metadata for every step is optional; Fields are the field paths a refusal must name.
	Fields []string `yaml:"fields"`

	// Advance moves business time and waits until everything that follows from it has happened; `0s` only waits.
	Advance *Duration `yaml:"advance"`

	// Bank turns an exported file into the bank's return.
	Bank *Bank `yaml:"bank"`

	// Push is one stream of a dispatch system; As is then unit, colon, system.
	Push *Push `yaml:"push"`
}

// Bank says how the paying bank answers an exported file.
type Bank struct {
	// Export is the variable that holds the file as base64.
	Export string `yaml:"export"`
	// Results by payment id, a code of the district's bank layout; `*` for all others.
	Results map[string]string `yaml:"results"`
	// Save is the variable for the return file as base64; `<Save>_sha256` gets its digest.
	Save string `yaml:"save"`
}

// Duration is a Go duration or a number of days such as `15d`.
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	var days int
	if n, err := fmt.Sscanf(node.Value, "%dd", &days); err == nil && n == 1 && fmt.Sprintf("%dd", days) == node.Value {
		*d = Duration(time.Duration(days) * 24 * time.Hour)
		return nil
	}
	parsed, err := time.ParseDuration(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is neither a duration nor days", node.Line, node.Value)
	}
	*d = Duration(parsed)
	return nil
}

// LoadAll reads the named journeys below a folder, each in a folder of its own; without names all of them, by name. A name with a slash is the
// path of a journey's own folder.
func LoadAll(dir string, names ...string) ([]*Journey, error) {
	if len(names) == 0 {
		paths, err := filepath.Glob(filepath.Join(dir, "*", FileName))
		if err != nil || len(paths) == 0 {
			return nil, fmt.Errorf("journey: none below %s; run from the root of the repository, or name a folder: %w", dir, errors.Join(err, os.ErrNotExist))
		}
		for _, path := range paths {
			names = append(names, filepath.Base(filepath.Dir(path)))
		}
	}
	var all []*Journey
	for _, name := range names {
		path := name
		if !strings.Contains(name, "/") {
			path = filepath.Join(dir, name)
		}
		j, err := Load(path)
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, nil
}

// Load reads the journey of a folder. Unknown keys and steps that are nothing, or two things at once, are refused.
func Load(dir string) (*Journey, error) {
	path := filepath.Join(dir, FileName)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("journey: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	j := &Journey{}
	if err := decoder.Decode(j); err != nil {
		return nil, fmt.Errorf("journey: %s: %w", path, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("journey: %s: there is more than one document", path)
	}
	for i, s := range j.Steps {
		kinds := 0
		for _, is := range []bool{s.Call != "", s.Advance != nil, s.Bank != nil, s.Push != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			return nil, fmt.Errorf("journey: %s: step %d (%s) is not exactly one of call, advance, bank, push", path, i+1, s.EN)
		}
		if (s.Call != "" || s.Push != nil) && s.As == "" {
			return nil, fmt.Errorf("journey: %s: step %d (%s) does not say who calls", path, i+1, s.EN)
		}
	}
	return j, nil
}
