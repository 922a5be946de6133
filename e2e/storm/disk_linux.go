package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// room is the size of a disk of the storm's own: enough for an hour's load.
const room = "size=6g"

// apart marks a process that has a mount namespace of its own.
const apart = "LIANHU_STORM_APART"

// Apart goes on with this command in a mount namespace of its own, where a storm can fill the disk of its PostgreSQL and nobody else's. It
// answers why that cannot be, or nil when it is so. Only main calls it, before anything else.
func Apart() error {
	if os.Getenv(apart) != "" {
		return nil
	}
	runtime.LockOSThread() // the namespace is the thread's, and goes with it into what it executes
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("no mount namespace of its own: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("no private mounts: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), apart+"=1")) //nolint:gosec // this very command
}

// mountDisk gives PostgreSQL's data directory a file system of its own, in memory. What it flushes is flushed as far as a kill can tell.
func (w *world) mountDisk(dir string) error {
	w.data = filepath.Join(dir, "home", "postgres", "data")
	if err := os.MkdirAll(w.data, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("storm", w.data, "tmpfs", 0, room); err != nil {
		return fmt.Errorf("storm: mount a disk for PostgreSQL: %w", err)
	}
	w.closer = append(w.closer, func() error { return syscall.Unmount(w.data, syscall.MNT_DETACH) })
	return nil
}

// fullDisk fills PostgreSQL's disk for a while.
func fullDisk() Fault {
	const kind = "full disk"
	return Fault{kind, func(ctx context.Context, s *Storm, r *rand.Rand) error {
		if s.world.data == "" {
			s.skip(kind, s.NoDisk)
			return nil
		}
		s.struck(kind, "")
		ballast := filepath.Join(s.world.data, "ballast")
		err := fill(ballast)
		pause(ctx, time.Duration(1000+r.IntN(2500))*time.Millisecond)
		if err := errors.Join(err, os.Remove(ballast)); err != nil {
			return err
		}
		return s.world.revive(ctx)
	}}
}

// fill takes all the room there is, and what is freed meanwhile.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing of it is ever read
	var size int64
	for step := int64(1 << 30); step >= 4096; {
		err := syscall.Fallocate(int(file.Fd()), 0, size, step)
		switch {
		case err == nil:
			size += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		case !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("storm: fill the disk: %w", err)
		}
	}
	return nil
}

// revive starts PostgreSQL again if it has ended: a server that cannot write its log recovers, and one that cannot do that gives up.
func (w *world) revive(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := w.inDatabase(bounded, "postgres", func(*pgx.Conn) error { return nil })
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := w.Suite.KillDatabase(); err != nil {
		return err
	}
	return w.Suite.StartDatabase(ctx)
}
