#!/usr/bin/env bash
# verify.sh [STEP...] checks everything that needs no running suite. Every step prints its name and how it went; the first line
# that is not ok makes the whole fail. Nothing in the tree is changed.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

# step NAME COMMAND... runs one check unless other steps were asked for.
asked=" $* "
step() {
	local name=$1
	shift
	[ "$asked" = "  " ] || [[ "$asked" == *" $name "* ]] || return 0
	local log
	if log=$("$@" 2>&1); then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		printf '%s\n' "$log" | tail -40
		failed=1
	fi
}

# generated compares what the contract generates with what is committed.
generated() {
	local out
	out=$(mktemp -d)
	tools/generate.sh "$out" &&
		diff -r -q proto/gen "$out/proto/gen" &&
		diff -r -q -x handlers.go services/gateway/internal/gen "$out/services/gateway/internal/gen" &&
		diff -q docs/errors.md "$out/docs/errors.md" &&
		diff -q docs/calls.md "$out/docs/calls.md" &&
		diff -q pkg/internal/specimen/v1/specimen.pb.go "$out/pkg/internal/specimen/v1/specimen.pb.go"
	local status=$?
	rm -rf "$out"
	return $status
}

# dist compiles what partners get, by itself, and makes it twice: the bytes depend on the commit alone.
dist() {
	local out
	out=$(mktemp -d)
	tools/proto-dist.sh "$out" && tools/proto-dist.sh "$out/again" &&
		cmp "$out/lianhu-proto.zip" "$out/again/lianhu-proto.zip" &&
		(cd "$out" && "$OLDPWD/.bin/buf" build lianhu-proto.zip -o /dev/null)
	local status=$?
	rm -rf "$out"
	return $status
}

proto_format() { .bin/buf format -d --exit-code proto && .bin/buf format -d --exit-code pkg/internal/specimen; }
breaking() { .bin/buf breaking proto --against proto/released.binpb; }
go_format() { test -z "$(git ls-files '*.go' | xargs gofmt -l | tee /dev/stderr)"; }
vet() { go vet ./proto/... ./pkg/... ./services/... ./e2e/...; }
tidy() { for m in proto pkg services e2e; do (cd "$m" && GOWORK=off go mod tidy -diff) || return 1; done; }
isolated() { for m in proto pkg services e2e; do (cd "$m" && GOWORK=off go build ./...) || return 1; done; }
lint() { .bin/golangci-lint run ./proto/... ./pkg/... ./services/... ./e2e/...; }
house() { go test -count=1 ./e2e/archtest; }

# links follows every relative link of the documents.
links() {
	local bad=0 file target
	while IFS=: read -r file target; do
		target=${target%%#*}
		[ -z "$target" ] || [ -e "$(dirname "$file")/$target" ] || { echo "$file: $target is not there"; bad=1; }
	done < <(git ls-files '*.md' | xargs grep -oHE '\]\([^)#:]+[^):]*\)' | sed -E 's/\]\(([^)]*)\)/\1/')
	return $bad
}

tools/export-protos.sh
step generated generated
step proto-format proto_format
step proto-lint .bin/buf lint
step breaking breaking
step dist dist
step go-format go_format
step vet vet
step tidy tidy
step isolated isolated
step lint lint
step house house
step links links
exit $failed
