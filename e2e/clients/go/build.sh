#!/usr/bin/env bash
# build.sh ARCHIVE makes ./push from lianhu-proto.zip. It needs Go and buf (https://buf.build/docs/cli/installation).
set -euo pipefail
archive=$(realpath "$1")
cd "$(dirname "$0")"
rm -rf contract
buf generate "$archive" --path lianhu/reporting/v1/dispatch_service.proto --path lianhu/access/v1
go build -o push .
echo "built ./push"
