#!/bin/sh
# Compares the present tree with another revision: Go benchmarks of packages and
# lines of the benchmark, both in turns, so that a slow minute of the machine is
# slow for both.
#
#	diff.sh REV
#
# PACKAGES: of which Go benchmarks are run; none: empty. BENCHES: which of them.
# COUNT: how often each side has its turn. LINES: --only of the benchmark; none:
# empty. BENCHFLAGS: more of its flags.
set -eu
[ $# = 1 ] || { echo "usage: bench/diff.sh REV" >&2; exit 2; }
PACKAGES=${PACKAGES-xrow box instance iproto xlog replication}
BENCHES=${BENCHES-.}
COUNT=${COUNT-6}
LINES=${LINES-replace}
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

here=$(git rev-parse --show-toplevel)
temp=$(mktemp -d)
trap 'git -C "$here" worktree remove --force "$temp/base" 2>/dev/null || true; rm -rf "$temp"' EXIT
trap 'exit 1' INT TERM
git -C "$here" worktree add --quiet --detach "$temp/base" "$1"

# Built before the first turn, so that no compiler runs beside a measurement.
for tree in "$temp/base" "$here"; do
	side=$(basename "$tree")
	[ "$tree" = "$here" ] && side=here
	mkdir -p "$temp/$side.tests"
	(cd "$tree" && go build -o "$temp/$side.tarragon" ./cmd/tarragon)
	for package in $PACKAGES; do
		if [ -d "$tree/$package" ]; then
			(cd "$tree" && go test -c -o "$temp/$side.tests/$(echo "$package" | tr / _)" "./$package")
		fi
	done
done

# run runs the benchmarks of one package once: side, tree, package.
run() {
	test="$temp/$1.tests/$(echo "$3" | tr / _)"
	[ -x "$test" ] || return 0
	(cd "$2/$3" && "$test" -test.run '^$' -test.bench "$BENCHES" -test.benchmem) >>"$temp/$1.txt"
}

touch "$temp/base.txt" "$temp/here.txt"
for package in $PACKAGES; do
	for turn in $(seq "$COUNT"); do
		run base "$temp/base" "$package"
		run here "$here" "$package"
	done
done
if [ -n "$PACKAGES" ]; then
	(cd "$temp" && go run "$benchstat" "base=base.txt" "here=here.txt")
fi
if [ -n "$LINES" ]; then
	cd "$here/bench"
	# shellcheck disable=SC2086 # flags are words
	go run . --binary "$temp/here.tarragon" --base "$temp/base.tarragon" --dir "$here/bin" --pairs "$COUNT" --only "$LINES" ${BENCHFLAGS-}
fi
