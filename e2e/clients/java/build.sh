#!/usr/bin/env bash
# build.sh ARCHIVE makes push.jar from lianhu-proto.zip with Debian's packages (Debian 12: gRPC 1.41, protobuf 3.21, JDK 17):
#
#   apt-get install default-jdk-headless unzip protobuf-compiler libprotobuf-dev protobuf-compiler-grpc-java-plugin libgrpc-java \
#     libnetty-java libnetty-tcnative-java libperfmark-java libprotobuf-java libgoogle-gson-java libguava-java \
#     libgoogle-common-protos-java libgeronimo-annotation-1.3-spec-java
#
# With Maven or Gradle: the protobuf plugin over the unpacked archive, and io.grpc:grpc-netty-shaded, grpc-protobuf, grpc-stub,
# com.google.protobuf:protobuf-java-util and (at compile time) javax.annotation:javax.annotation-api. Not tried here.
set -euo pipefail
archive=$(realpath "$1")
cd "$(dirname "$0")"

jars=(grpc-api grpc-context grpc-core grpc-stub grpc-protobuf grpc-protobuf-lite grpc-netty perfmark-api opencensus-api guava
	netty-common netty-buffer netty-transport netty-transport-native-unix-common netty-resolver netty-codec netty-codec-http netty-codec-http2
	netty-codec-socks netty-handler netty-handler-proxy netty-tcnative protobuf protobuf-util gson proto-google-common-protos geronimo-annotation-1.3-spec)
missing=()
for command in javac jar protoc grpc_java_plugin unzip; do command -v $command >/dev/null || missing+=("$command"); done
native=$(echo /usr/lib/*/jni/libnetty-tcnative.so)
for jar in "${jars[@]}"; do [ -e "/usr/share/java/$jar.jar" ] || missing+=("/usr/share/java/$jar.jar"); done
[ -e "$native" ] || missing+=("$native")
if [ ${#missing[@]} -gt 0 ]; then
	echo "build.sh: not there: ${missing[*]}; the packages are named at its top" >&2
	exit 1
fi

rm -rf contract out
mkdir -p out/generated out/classes
unzip -q "$archive" -d contract
# google/api has its classes in proto-google-common-protos already.
(cd contract && protoc -I . --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" --java_out=../out/generated --grpc-java_out=../out/generated \
	lianhu/reporting/v1/dispatch_service.proto lianhu/access/v1/*.proto buf/validate/validate.proto)
javac -J-XX:TieredStopAtLevel=1 -proc:none -nowarn -d out/classes -cp "$(printf '/usr/share/java/%s.jar:' "${jars[@]}")" \
	$(find out/generated -name '*.java') Push.java Outbox.java Source.java
# Debian's Netty cannot negotiate HTTP/2 with the JDK's own TLS. It can with OpenSSL's, but looks for it under the name it has in Netty's own jar.
mkdir -p out/classes/META-INF/native
cp "$native" "out/classes/META-INF/native/libnetty_tcnative_linux_$(uname -m | sed 's/aarch64/aarch_64/').so"
{
	echo "Main-Class: Push"
	echo "Class-Path: "
	printf '  file:///usr/share/java/%s.jar\n' "${jars[@]}"
} >out/manifest
jar cfm push.jar out/manifest -C out/classes .
echo "built push.jar: java -jar push.jar"
