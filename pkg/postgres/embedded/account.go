package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// account runs PostgreSQL as an unprivileged user when this process is root, which PostgreSQL refuses to be; otherwise as
// whoever runs this process.
type account struct {
	name     string
	uid, gid int
	drop     bool
}

func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &account{name: name, uid: uid, gid: gid, drop: true}, nil
	}
	return nil, errors.New("embedded: PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as")
}

// own gives a file or folder to the account.
func (a *account) own(path string) error {
	if !a.drop {
		return nil
	}
	if err := os.Chown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("embedded: give %s to %s: %w", path, a.name, err)
	}
	return nil
}

// run executes a command to its end.
func (a *account) run(cmd *exec.Cmd) ([]byte, error) {
	a.prepare(cmd)
	return cmd.CombinedOutput()
}

// start executes a command that dies with this process; ended is closed when it has ended. The death signal follows the thread
// that started the process, so the goroutine keeps its thread until then.
func (a *account) start(cmd *exec.Cmd, ended chan<- struct{}) (*os.Process, error) {
	a.prepare(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return cmd.Process, nil
}

func (a *account) prepare(cmd *exec.Cmd) {
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=" + os.TempDir()}
	cmd.Dir = "/" // the account may not be allowed where this process is
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	dieWithParent(cmd.SysProcAttr)
}

// hint explains the commonest reason of a failure as root: a folder on the way that the account may not enter.
func (a *account) hint(dir string) string {
	if !a.drop {
		return ""
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for path := full; path != "/"; path = filepath.Dir(path) {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o001 == 0 {
			return fmt.Sprintf("\nthe server runs as %s, who may not enter %s: choose another data directory, or chmod o+x it", a.name, path)
		}
	}
	return ""
}

// Version is the major version of the server in a folder, for example "15".
func Version(ctx context.Context, bin string) (string, error) {
	output, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("embedded: ask %s for its version: %w", bin, err)
	}
	for _, field := range strings.Fields(string(output)) {
		if major, _, _ := strings.Cut(field, "."); isNumber(major) {
			return major, nil
		}
	}
	return "", fmt.Errorf("embedded: %s does not tell its version", bin)
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
