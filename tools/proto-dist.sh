#!/usr/bin/env bash
# proto-dist.sh OUT writes what a partner needs to compile the contract without any registry: OUT/lianhu-proto.zip, our files and
# the third-party ones they import, each with its licence, and OUT/lianhu.binpb, the same as one descriptor set with comments. The OpenAPI document
# of the JSON surface is in the archive and beside it.
# The bytes depend on the commit alone, so whoever builds it hands out the same files.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
tools/export-protos.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.bin/buf export proto -o "$folder"
cp LICENSE "$folder/LICENSE"
cp tools/protozip/README.md "$folder/README.md"
mkdir -p "$folder/google/rpc"
cp third_party/proto/google/rpc/*.proto "$folder/google/rpc/"
for licence in google/api google/rpc buf/validate; do cp "third_party/proto/$licence/LICENSE" "$folder/$licence/LICENSE"; done
cp services/gateway/internal/gen/openapi.json "$folder/openapi.json"
(cd tools/openapi && GOWORK=off go run . -older) <"$folder/openapi.json" >"$folder/openapi-3.0.json"
mkdir -p "$out"
(cd tools/protozip && GOWORK=off go run . "$folder") >"$out/lianhu-proto.zip"
.bin/buf build proto --as-file-descriptor-set -o "$out/lianhu.binpb"
cp "$folder"/openapi*.json "$out/"
echo "wrote $out/lianhu-proto.zip, $out/lianhu.binpb and $out/openapi.json"
