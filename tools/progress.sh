#!/usr/bin/env bash
# progress.sh LABEL COMMAND [ARGUMENT...] runs a `go build -v` and shows, on a terminal, how many packages it has compiled: a cold
# build takes minutes and would otherwise say nothing. Everything that is not the name of a package is passed on.
set -euo pipefail
label=$1
shift
echo "$label" >&2
tty=0
if [ -t 2 ]; then tty=1; fi
"$@" 2>&1 | awk -v tty="$tty" '
	/^[A-Za-z0-9][A-Za-z0-9._~\/+-]*$/ { n++; if (tty) { printf "\r  %d packages ", n > "/dev/stderr" } ; next }
	{ if (tty && n) printf "\n" > "/dev/stderr"; print > "/dev/stderr" }
	END { if (tty && n) printf "\n" > "/dev/stderr" }'
