package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lianhu/lianhu/e2e/fleet"
	"github.com/lianhu/lianhu/pkg/identity"
)

// units whose dispatch systems push: the bureau's, and those of three stations.
var units = [...]string{"police", "police/320411002000", "police/320411101000", "police/320411103000"}

// party is a certificate and where it calls.
type party struct {
	Name        string `json:"name"`
	Target      string `json:"target"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// client is the Node process; its settings are all it gets.
type client struct {
	Seed      uint64  `json:"seed"`
	Updates   int     `json:"updates"`
	Incidents int     `json:"incidents"`
	Sources   []party `json:"sources"`
	Reader    party   `json:"reader"`
	Proto     string  `json:"proto"`
	Roots     string  `json:"roots"`

	script string
}

// progress is how far the client has come.
type progress struct {
	Certain int `json:"certain"`
	Total   int `json:"total"`
}

// outcome is what the client found in the end.
type outcome struct {
	// Read incidents, those of them that somebody told of, and those that are not what the client's fold says, with the first few.
	Read   int               `json:"read"`
	Told   int               `json:"told"`
	Differ int               `json:"differ"`
	First  []json.RawMessage `json:"first"`
	// Quarantine as planted: source/epoch/sequence/cause.
	Quarantine []string `json:"quarantine"`
}

// prepare gives each source a certificate and a wire of its own.
func (d *drill) prepare(ctx context.Context, f *fleet.Fleet, proto string) (*client, []*wire, error) {
	c := &client{Seed: d.seed, Updates: d.updates, Incidents: d.incidents, Proto: proto, script: filepath.Join(d.root, "e2e", "drill", "drill.mjs")}
	var wires []*wire
	for _, unit := range units {
		if err := f.Home.CertifySystem(unit, "dispatch"); err != nil {
			return nil, nil, err
		}
		w, err := stretch(ctx, f.Layout.GRPC["gateway"])
		if err != nil {
			return nil, nil, err
		}
		wires = append(wires, w)
		c.Sources = append(c.Sources, as(unit+":dispatch", w.address(), f.Home.Unit(unit+"-dispatch")))
	}
	c.Reader = as("police:main", f.Layout.GRPC["gateway"][0], f.Home.Unit("police"))
	c.Roots = f.Home.Unit("police").Roots
	return c, wires, nil
}

func as(name, target string, files identity.Files) party {
	// By name: a certificate's IP address is nothing Node checks without a warning.
	target = strings.Replace(target, "127.0.0.1", "localhost", 1)
	return party{Name: name, Target: target, Certificate: files.Certificate, Key: files.Key}
}

// push lets the client push and read while the faults strike, and answers what it found.
func (d *drill) push(ctx context.Context, c *client, planned []fault) (*outcome, error) {
	settings, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	cmd := exec.CommandContext(ctx, "node", c.script)
	cmd.Env, cmd.Stderr = append(os.Environ(), "DRILL="+string(settings)), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node, which the drill needs (20 or newer): %w", err)
	}
	reports := make(chan progress, 1)
	group.Go(func() error {
		return d.strike(ctx, planned, reports, func(share float64) error {
			_, err := fmt.Fprintln(in, share)
			return err
		})
	})
	var found *outcome
	group.Go(func() (err error) {
		found, err = listen(out, reports)
		return errors.Join(err, cmd.Wait())
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return found, nil
}

// listen reads what the client says until it is done. Only its latest progress counts.
func listen(out io.Reader, reports chan progress) (*outcome, error) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var said struct {
			progress
			Outcome *outcome `json:"outcome"`
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			return nil, fmt.Errorf("the client says %q: %w", lines.Text(), err)
		}
		if said.Outcome != nil {
			return said.Outcome, nil
		}
		select {
		case <-reports:
		default: // taken already
		}
		reports <- said.progress
	}
	return nil, errors.Join(errors.New("the client ended without an outcome"), lines.Err())
}
