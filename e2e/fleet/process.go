package fleet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// stopWithin bounds a graceful stop; the processes promise less.
const stopWithin = 30 * time.Second

// Process is one process of a fleet.
type Process struct {
	// Log is the file of what it wrote.
	Log string

	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended, once ended is closed
}

func launch(ctx context.Context, binary string, args, env []string, log string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{Log: log, cmd: exec.CommandContext(ctx, binary, args...), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, out, out
	if err := p.cmd.Start(); err != nil {
		_ = out.Close() // nothing was written
		return nil, fmt.Errorf("start %s: %w", log, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = out.Close() // the process has its own handle, which is closed by now
		close(p.ended)
	}()
	return p, nil
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// ID is the number of the process.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Terminate sends SIGTERM and waits for the end. A process that had ended before, ends badly or does not end is an error.
func (p *Process) Terminate() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s had ended already: %w", p.Log, p.err)
	default:
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("%s ended badly: %w", p.Log, p.err)
		}
		return nil
	case <-time.After(stopWithin):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s of SIGTERM", p.Log, stopWithin)
	}
}

// Kill ends the process as a power cut would and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	<-p.ended
}
