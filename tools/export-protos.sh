#!/usr/bin/env bash
# Exports the third-party .proto files the contract imports, and those its errors are read with, from the pinned Go modules that carry them into
# third_party/proto, which git ignores: nobody else's contract is kept in this repository.
set -euo pipefail
cd "$(dirname "$0")/.."
out=third_party/proto
stamp="$out/.complete-5"
[ -f "$stamp" ] && exit 0

# where prints the folder of a pinned module in the module cache, fetching it if need be.
where() {
	GOWORK=off go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

rm -rf "$out"
mkdir -p "$out/google/api" "$out/google/rpc" "$out/buf/validate"
api=$(where github.com/grpc-ecosystem/grpc-gateway@v1.16.0)
cp "$api"/third_party/googleapis/google/api/{annotations,http}.proto "$out/google/api/"
# No file of ours imports these; partners read the details of a refusal with them.
cp "$api"/third_party/googleapis/google/rpc/{error_details,status}.proto "$out/google/rpc/"
for folder in api rpc; do cp "$api/third_party/googleapis/LICENSE" "$out/google/$folder/LICENSE"; done
validate=$(where github.com/bufbuild/protovalidate@v1.2.2)
cp "$validate"/proto/protovalidate/buf/validate/validate.proto "$out/buf/validate/"
cp "$validate/LICENSE" "$out/buf/validate/LICENSE"
chmod -R u+w "$out"
touch "$stamp"
