#!/bin/sh
# Makes what is published, in the directory of $1: static binaries, Debian packages, the list of
# what is in them, checksums. The same commit gives the same bytes.
set -eu
cd "$(dirname "$0")/.."
out=$1
arches=${ARCHES:-amd64 arm64}
mkdir -p "$out"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
VERSION=$(sed -n 's/^var version = "\(.*\)"$/\1/p' cmd/tarragon/version.go)
[ -n "$VERSION" ] || { echo "release: cmd/tarragon/version.go has no version" >&2; exit 1; }
export SOURCE_DATE_EPOCH VERSION
tool() { GOFLAGS='' go tool -modfile=packaging/go.mod "$@"; }
for ARCH in $arches; do
	BINARY=$out/tarragon-linux-$ARCH
	export ARCH BINARY
	CGO_ENABLED=0 GOOS=linux GOARCH=$ARCH go build -trimpath -ldflags '-s -w -buildid=' -o "$BINARY" ./cmd/tarragon
	tool cyclonedx-gomod bin -json -noserial -version "v$VERSION" -output "$BINARY.cdx.json" "$BINARY" >/dev/null 2>&1
	sed -i "s/\(\"timestamp\": \)\"[^\"]*\"/\1\"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" "$BINARY.cdx.json"
	tool nfpm package -f packaging/nfpm.yaml -p deb -t "$out/tarragon_${VERSION}_$ARCH.deb" >/dev/null
done
cd "$out"
sha256sum tarragon[-_]* >SHA256SUMS
cat SHA256SUMS
