#!/usr/bin/env bash
# generate.sh OUT writes everything that is generated from the contract under OUT: `.` in daily work, an empty folder when the
# result is only to be compared. Both ways run the same lines, so the comparison cannot drift from the work.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
tools/export-protos.sh
# The stubs' folder also holds a file written by hand, so it cannot be emptied as proto/gen is.
find "$out/services/gateway/internal/gen" -name '*.pb.gw.go' -delete 2>/dev/null || true
for template in buf.gen.yaml buf.gen.gateway.yaml buf.gen.specimen.yaml; do
	.bin/buf generate --template "$template" -o "$out"
done
mkdir -p "$out/docs"
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
.bin/buf generate --template buf.gen.openapi.yaml -o "$parts"
.bin/buf build proto --as-file-descriptor-set -o "$parts/lianhu.binpb"
document=$(realpath "$out")/services/gateway/internal/gen/openapi.json page=$(realpath "$out")/docs/calls.md access=$PWD/districts/xinbei/access.yaml
(cd tools/openapi && find "$parts" -name '*.openapi.json' -print0 | sort -z |
	GOWORK=off xargs -0 go run . -access "$access" -descriptors "$parts/lianhu.binpb" -document "$document" -page "$page")
.bin/buf build proto --as-file-descriptor-set -o - | (cd tools/errordoc && GOWORK=off go run .) >"$out/docs/errors.md"
