#!/usr/bin/env bash
# Exports the third-party .proto files the contract imports from the pinned Go modules that carry them into
# third_party/proto, which git ignores: nobody else's contract is kept in this repository.
set -euo pipefail
cd "$(dirname "$0")/.."
out=third_party/proto
stamp="$out/.complete-3"
[ -f "$stamp" ] && exit 0

# where prints the folder of a pinned module in the module cache, fetching it if need be.
where() {
	GOWORK=off go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

rm -rf "$out"
mkdir -p "$out/google/api" "$out/protoc-gen-openapiv2/options" "$out/buf/validate"
api=$(where github.com/grpc-ecosystem/grpc-gateway@v1.16.0)
cp "$api"/third_party/googleapis/google/api/{annotations,http}.proto "$out/google/api/"
cp "$api/third_party/googleapis/LICENSE" "$out/google/api/LICENSE"
openapi=$(where github.com/grpc-ecosystem/grpc-gateway/v2@v2.33.0)
cp "$openapi"/protoc-gen-openapiv2/options/*.proto "$out/protoc-gen-openapiv2/options/"
validate=$(where github.com/bufbuild/protovalidate@v1.2.2)
cp "$validate"/proto/protovalidate/buf/validate/validate.proto "$out/buf/validate/"
cp "$validate/LICENSE" "$out/buf/validate/LICENSE"
chmod -R u+w "$out"
touch "$stamp"
