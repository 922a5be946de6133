#!/usr/bin/env bash
# example-packages.sh makes sure that what the example clients are built with is there: Node with npm, and for Java a JDK, protoc, gRPC's plugin and
# jars, which come from Debian's packages. As root on Debian it installs what is missing; anywhere else it says what that is and fails.
set -euo pipefail
command -v npm >/dev/null || { echo "npm is not on PATH. Install Node 20 or newer and try again" >&2; exit 1; }
packages=(protobuf-compiler libprotobuf-dev protobuf-compiler-grpc-java-plugin libgrpc-java libnetty-java
	libnetty-tcnative-java libperfmark-java libprotobuf-java libgoogle-gson-java libguava-java
	libgoogle-common-protos-java libgeronimo-annotation-1.3-spec-java libjackson2-databind-java libjsr305-java)
missing=()
if command -v dpkg-query >/dev/null; then
	for package in "${packages[@]}"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
else
	missing=("${packages[@]}")
fi
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v unzip >/dev/null || missing+=(unzip)
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "the Java example needs Debian's packages; as root: apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	echo "the packages above could not be installed" >&2
	exit 1
fi
