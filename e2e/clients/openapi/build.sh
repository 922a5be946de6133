#!/usr/bin/env bash
# build.sh DOCUMENT OLDER checks the OpenAPI document with a linter and generates a client from it in two languages: TypeScript from DOCUMENT
# (OpenAPI 3.1), Java from OLDER (its edition 3.0: the newest generator for Java that a package of npm holds whole reads no 3.1). Each is compiled
# with a small program that lists a unit's work. Needs Node with npm, a JDK, and Debian's libjackson2-databind-java and libjsr305-java.
set -euo pipefail
document=$(realpath "$1") older=$(realpath "$2")
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
rm -rf generated out
mkdir -p generated out/java

npx --no-install redocly lint --max-problems 20 "$document" 2>&1 | tee out/lint.txt
if grep -q 'You have [0-9]* warning' out/lint.txt; then
	echo "build.sh: the linter warns" >&2
	exit 1
fi

npx --no-install openapi-typescript "$document" -o generated/schema.d.ts
npx --no-install tsc -p .

# The generator names every file it writes; what goes wrong stands at the end.
if ! java -XX:TieredStopAtLevel=1 -jar node_modules/@openapitools/openapi-generator-cli/bin/openapi-generator.jar generate -g java --library native \
	-i "$older" -o generated/java --global-property=apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false \
	--additional-properties=hideGenerationTimestamp=true,invokerPackage=lianhu.client,apiPackage=lianhu.client.api,modelPackage=lianhu.client.model \
	>out/generator.txt 2>&1; then
	tail -20 out/generator.txt >&2
	exit 1
fi
jars=$(printf '/usr/share/java/%s.jar:' jackson-core jackson-databind jackson-annotations jsr305 geronimo-annotation-1.3-spec)
javac -J-XX:TieredStopAtLevel=1 -proc:none -nowarn -d out/java -cp "$jars" $(find generated/java/src/main java -name '*.java')
echo "ready: node out/work.js, and java -cp $PWD/out/java:$jars Work"
