#!/bin/sh
# Sees to it that there is a Tarantool for the interop suite: Debian's package,
# if we may install it. Else it says in one line what is missing.
set -eu
[ -n "${TARANTOOL:-}" ] || echo "interop: TARANTOOL names no Tarantool 3, so elections across kinds are not run"
command -v tarantool >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	log=$(mktemp)
	if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y tarantool; } >"$log" 2>&1; then
		rm -f "$log"
		command -v tarantool >/dev/null && exit 0
	else
		tail -n 3 "$log" >&2
		rm -f "$log"
	fi
fi
echo "missing: tarantool in PATH, for make interop; it is Debian's package tarantool (apt-get install tarantool), which root may let this install by itself" >&2
exit 1
