# Targets for people and for CI; "make help" lists them.

# Packages with goroutines: these run under the race detector. Those that take longest begin first, so that nobody waits
# for one of them at the end.
RACE := server xlog replication iproto instance proc router client cmd
# The last word on a release: longer times.
FUZZTIME ?= 20s
SEEDS    ?= 500
SEED     ?= 1
# A package that has not ended by then hangs; the slowest takes three minutes where
# nothing else runs, and ten where much does.
HANGS    ?= 30m

# Pebble takes zstd from a Go library: the one in C is compiled for most of a minute,
# and the store does not compress.
export GOFLAGS += -tags=pebblegozstd

.DEFAULT_GOAL := build
.PHONY: help build demo test tools fmt vet check unit race fuzz fuzz-short sim sim-short mutants mutants-sample lint bench switchovers hidden-failovers bench-diff clean release packages cluster processes interop conformance attack model model-deep

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

build: tools ## bin/tarragon
	go build -o bin/tarragon ./cmd/tarragon

demo: build ## three nodes survive the loss of their leader, within a minute; then replicas that have some spaces only
	bin/tarragon demo
	bin/tarragon demo --filter

test: fmt vet check unit race processes fuzz-short sim-short mutants-sample ## everything that CI runs

# One line for everything that is missing.
tools:
	@missing=; \
	command -v go >/dev/null || missing="$$missing Go (go.dev/dl, the version in go.mod),"; \
	command -v git >/dev/null || missing="$$missing git,"; \
	command -v "$$(go env CC 2>/dev/null || echo cc)" >/dev/null || missing="$$missing a C compiler (gcc or clang, for the race detector),"; \
	if [ -n "$$missing" ]; then echo "missing:$${missing%,}" >&2; exit 1; fi

fmt: tools
	@wrong=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$wrong" ]; then echo "gofmt -w is needed for:" $$wrong >&2; exit 1; fi

# bench is a module of its own, so that the server does not depend on its plots.
vet: tools
	go vet ./...
	@if [ -f bench/go.mod ]; then cd bench && go vet ./...; fi

# The linters are dependencies of a module of their own (tools), so that the
# server's has none of theirs.
TOOL := go tool -modfile=tools/go.mod

check: tools ## staticcheck, errcheck
	$(TOOL) staticcheck ./...
	$(TOOL) errcheck -exclude tools/errcheck.txt ./...

# What race runs is left to it, but for what the detector makes no sense for: how much is allocated. Of the models, which nothing
# but their own code can break, it takes what is quick.
space := $(subst ,, )
RACED    := $(subst $(space),|,$(strip $(RACE)))
MEASURED := TestMemoryIsLimited|TestIdleClientIsSmall|TestIdleConnectionIsSmall|Allocate|TestOpenReadsLittle
unit: tools ## unit tests, but for what other targets run
	go test -timeout $(HANGS) ./test/attack $$(go list ./... | grep -v -E '^[^/]*/[^/]*/($(RACED))(/|$$)' | grep -v -e '/tarragon$$' -e '/test/model' -e '/test/sim$$' -e '/test/cluster$$' -e '/test/docs$$' -e '/test/interop$$')
	go test -short -timeout $(HANGS) ./test/model/...
	go test -timeout $(HANGS) -run '$(MEASURED)' ./iproto ./instance ./replication ./router ./server ./xlog
	@if [ -f bench/go.mod ]; then cd bench && go test -timeout $(HANGS) ./...; fi

race: tools ## tests of the concurrent packages under the race detector
	CGO_ENABLED=1 go test -race -short -timeout $(HANGS) $(patsubst %,./%/...,$(RACE)) .

# The interop suite has no such test, and needs a Tarantool to begin with.
attack: tools ## the tests that attack; TARANTOOL=/path/to/3.8 compares its verdicts too
	go test -count=1 -run Attack $$(go list ./... | grep -v '/test/interop$$')

fuzz: ## every fuzz target for FUZZTIME (20s)
	@$(MAKE) --no-print-directory fuzz-run FUZZ_FOR=$(FUZZTIME)

# To build a target takes most of the time: of what needs few other packages each one, and all others by their seeds in
# unit and race.
fuzz-short:
	@$(MAKE) --no-print-directory fuzz-run FUZZ_FOR=1s FUZZ_IN='xrow internal/mp'

# go test fuzzes one target of one package at a time. On a busy machine it may
# report its own deadline as a failure (golang/go issue 48591): without a failing
# input that is none. They are built without cgo, so that this way of building is tried too.
.PHONY: fuzz-run
fuzz-run: tools
	@set -e; for dir in $$(git grep -l '^func Fuzz' -- $(or $(FUZZ_IN),'*_test.go') | xargs -r -n1 dirname | sort -u); do \
		for target in $$(grep -h -o '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6- | sort -u); do \
			echo "fuzz ./$$dir $$target $(FUZZ_FOR)"; \
			CGO_ENABLED=0 go test ./$$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_FOR) -fuzzminimizetime 1x >fuzz.log 2>&1 \
				|| { ! grep -q 'Failing input' fuzz.log && grep -q 'context deadline exceeded' fuzz.log; } \
				|| { cat fuzz.log; rm -f fuzz.log; exit 1; }; \
		done; \
	done; rm -f fuzz.log

cluster: tools ## real processes that are killed, paused and cut off, and what the pages tell people to type
	@test/cluster/need.sh
	go test -count=1 -timeout $(HANGS) ./test/cluster ./test/docs

# Without the stories that wait longest for what others tell sooner: each way in which an upgrade ends (one is left), and
# what is measured of processes.
LONG := TestUpgrade(Refused|Stops|GoesOn|LeaderMoves)|TestGoClient|TestIdleSockets|TestFilteredReaderIsSmall|TestPauseRunsOut
processes: tools
	@test/cluster/need.sh
	@test/interop/need.sh
	go test -count=1 -timeout $(HANGS) -skip '^($(LONG))$$' ./test/cluster ./test/interop ./test/docs

interop: tools ## real Tarantools as peers: the one in PATH (2.6), and TARANTOOL=/path/to/3.x
	@test/interop/need.sh
	go test ./test/interop -count=1 -timeout $(HANGS)

conformance: build ## go-tarantool's own test suites, fetched and run: writes docs/conformance.md
	go run ./test/conformance $(if $(ROUTER),-router)

sim: tools ## SEEDS (500) cluster lives in virtual time, from SEED (1) on
	@if [ -d test/sim ]; then go test ./test/sim -v -timeout 15m -seed $(SEED) -seeds $(SEEDS); fi

# Fewer lives of each kind.
sim-short:
	go test ./test/sim -short -timeout 15m -seeds 150

mutants: tools ## plant each fault in turn: which checker sees it, in which seed (MUTANTS="-only NAME" for some)
	@go run ./test/mutants/cmd/mutants -seeds $(SEEDS) $(MUTANTS)

mutants-sample: tools ## the few planted faults that die at once
	@go run ./test/mutants/cmd/mutants -sample

model: tools ## the rules as a program: small bounds in full, and what breaks without each rule
	go test ./test/model/...

# Each pair of changes with two elections, a write and a crash; README.md of test/model says which were seen to end.
PAIRS := "-n 3 -quorum 2" "-n 3 -members 1 -ready -promote 2" "-n 3 -members 2 -ready -promote 1 -quorum 1" \
	"-n 3 -members 2 -ready -promote 1 -expel 1" "-n 3 -members 2 -ready -replace 1 -promote 1 -quorum 1" \
	"-n 3 -members 2 -ready -replace 1 -promote 1 -expel 1" "-n 3 -expel 2" "-n 3 -expel 1 -quorum 1" \
	"-n 4 -members 2 -ready -replace 1 -promote 2" "-n 4 -members 2 -ready -replace 2 -promote 2"

model-deep: tools ## each pair of changes in full, then ten minutes of long random histories of five
	@go build -o bin/model ./test/model
	@set -e; for bounds in $(PAIRS); do echo "$$bounds"; bin/model -q -live 20 -crashes 1 -bulk $$bounds; done
	bin/model -q -n 5 -members 3 -learner 2 -promote 3 -replace 2 -expel 2 -quorum 2 -swap 1 -rejoins 2 -terms 30 -writes 20 -crashes 4 -walk 10m

release: tools ## dist/: static binaries, Debian packages, lists of their parts, checksums
	packaging/release.sh dist

packages: tools ## the Debian package is installed, run and purged on this machine (as root); unit, container and manifests are checked
	cd packaging && GOFLAGS= go test -count=1 -timeout $(HANGS) ./...

lint: fmt vet check ## all of that, zerologlint, staticcheck of bench, and govulncheck where its database can be reached
	go vet -vettool=$$($(TOOL) -n zerologlint) ./...
	@if [ -f bench/go.mod ]; then cd bench && go tool -modfile=../tools/go.mod staticcheck ./...; fi
	@said=$$($(TOOL) govulncheck ./... 2>&1) || { \
		case "$$said" in \
		*"fetching vulnerabilities"*) echo "govulncheck: not run, its database cannot be reached" ;; \
		*) echo "$$said" >&2; exit 1 ;; \
		esac; }

bench: build ## throughput and latency of three local nodes, and of the packages
	@if [ -f bench/go.mod ]; then cd bench && go run .; fi
	go test -run '^$$' -bench . -benchmem ./...

switchovers: build ## a thousand planned moves of leadership under load: nothing may be lost
	cd bench && go run . --switchovers 1000

HIDDEN ?= 100
hidden-failovers: build ## HIDDEN (100) leaders killed, stopped and moved behind a router: no client may see an error
	cd bench && go run . --hidden-failovers $(HIDDEN)

bench-diff: build ## this tree beside BASE=REV, in turns; PACKAGES, BENCHES, COUNT, LINES as bench/diff.sh says
	@test -n "$(BASE)" || { echo "which revision: make bench-diff BASE=main" >&2; exit 1; }
	@bench/diff.sh "$(BASE)"

clean: ## remove what was built
	rm -rf bin dist fuzz.log
