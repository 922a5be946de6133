#!/usr/bin/env bash
# fuzz.sh DURATION runs every fuzz target of the tree for that long, one after the other, and says of each how it went. What a target
# finds is written by Go to testdata/fuzz of its package: commit it with the mending, as f.Add, so that `make test` keeps it.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0 targets=0
while IFS=: read -r file target; do
	targets=$((targets + 1))
	log=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 20x "./$(dirname "$file")" 2>&1)
	status=$?
	execs=$(grep -oE 'execs: [0-9]+' <<<"$log" | tail -1)
	if [ $status -eq 0 ]; then
		echo "ok    $target  ${execs:-execs: 0}  $(dirname "$file")"
	else
		echo "FAIL  $target  $(dirname "$file")"
		tail -30 <<<"$log"
		failed=1
	fi
done < <(git ls-files --cached --others --exclude-standard '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z]+' | sed 's/:func /:/')
echo "$targets targets, $1 each"
exit $failed
