#!/bin/sh
# Sees to it that there is a Tarantool for the interop suite, and node with npm for the
# connector of Node.js: Debian's packages, if we may install them. Else it says in one line
# what is missing. Without node and npm the suite runs without that connector.
set -eu
[ -n "${TARANTOOL:-}" ] || echo "interop: TARANTOOL names no Tarantool 3, so elections across kinds are not run"

# packages COMMAND PACKAGE...: the command is there, or is installed with the packages.
packages() {
	command -v "$1" >/dev/null && return 0
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	wanted=$1
	shift
	log=$(mktemp)
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "$@"; } >"$log" 2>&1 || tail -n 3 "$log" >&2
	rm -f "$log"
	command -v "$wanted" >/dev/null
}

packages npm nodejs npm || echo "interop: no npm in PATH, so tarantool-driver is not tried; it is Debian's package npm, which root may let this install by itself"
packages tarantool tarantool && exit 0
echo "missing: tarantool in PATH, for make interop; it is Debian's package tarantool (apt-get install tarantool), which root may let this install by itself" >&2
exit 1
