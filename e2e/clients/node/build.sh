#!/usr/bin/env bash
# build.sh ARCHIVE unpacks lianhu-proto.zip into ./contract and installs the packages of the lock file. Code needs not be generated.
set -euo pipefail
archive=$(realpath "$1")
cd "$(dirname "$0")"
rm -rf contract
unzip -q "$archive" -d contract
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
echo "ready: node push.js"
