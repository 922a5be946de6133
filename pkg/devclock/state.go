package devclock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// state is what survives a restart. Nothing later than Reserved has ever been told to anybody, so starting there never
// takes time back, even when the machine's own clock was set back meanwhile.
type state struct {
	// Base is business time at the machine's Anchor.
	Base    time.Time `json:"base"`
	Anchor  time.Time `json:"anchor"`
	Running bool      `json:"running"`
	// Reserved is how far business time may run before the file is written again; Base while it stands still.
	Reserved time.Time `json:"reserved"`
}

// at is business time at an instant of the machine.
func (s state) at(machine time.Time) time.Time {
	if !s.Running {
		return s.Base
	}
	now := s.Base.Add(max(machine.Sub(s.Anchor), 0)).Truncate(time.Microsecond)
	if now.After(s.Reserved) {
		return s.Reserved
	}
	return now
}

// reserve moves the state to a new business time and allows it to run ahead for a while.
func (s state) reserve(business, machine time.Time, ahead time.Duration) state {
	s.Base, s.Anchor, s.Reserved = business, machine, business
	if s.Running {
		s.Reserved = business.Add(ahead)
	}
	return s
}

func load(path string) (s state, found bool, err error) {
	stored, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("devclock: %w", err)
	}
	if err := json.Unmarshal(stored, &s); err != nil || s.Base.IsZero() {
		return s, false, fmt.Errorf("devclock: %s does not hold a time (%w)", path, err)
	}
	return s, true, nil
}

// store writes the file so that after a crash it holds either the old or the new state.
func (s state) store(path string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("devclock: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".devclock-*")
	if err != nil {
		return fmt.Errorf("devclock: %w", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("devclock: %w", errors.Join(err, os.Remove(file.Name())))
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("devclock: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}
