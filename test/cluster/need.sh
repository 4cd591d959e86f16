#!/bin/sh
# Sees to it that there is an haproxy for the tests of health checks: Debian's package, if
# we may install it. Else it says in one line what is missing, and the suite runs without that test.
set -eu
PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	log=$(mktemp)
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y haproxy; } >"$log" 2>&1 || tail -n 3 "$log" >&2
	rm -f "$log"
	command -v haproxy >/dev/null && exit 0
fi
echo "cluster: no haproxy in PATH, so its health checks are not tried; it is Debian's package haproxy, which root may let this install by itself"
