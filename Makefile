# Everything a developer types. `make` alone lists the targets.
#
# demo and test are the two commands of the README: each does all that it
# needs, on a Debian or Ubuntu that has nothing but Go and make.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps build demo test docs sim mutants lint vuln fuzz bench bench-peers microbench chaos chaos-ci chaos-long compose-test deploy-test clean

GO           ?= go
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT       ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
TEST_TIMEOUT ?= 8m
FUZZTIME     ?= 30s
BENCH        ?= .
BENCHFLAGS   ?=
SEEDS        ?= 2000
SCENARIO     ?= mixed
DURATION     ?= 60s
SEED         ?= 0
KILLS        ?= 0
WORKERS      ?= 4

# The packages with neither socket nor clock; they must build without cgo. Each
# is named twice because Go is silent about a pattern (./x/...) that matches
# nothing, but not about a missing directory (./x).
PURE      := protocol internal/core internal/session internal/calls
PURE_PKGS := $(PURE:%=./%) $(PURE:%=./%/...) ./internal/link

GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
GOLANGCI         := $(CURDIR)/.tools/golangci-lint

help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: ## install libzmq, pkg-config and a C compiler when they are missing
	@scripts/deps

# No VCS stamp: it fails in a clone that another user owns, and -X says more.
build: deps ## build ./bin/privateer
	$(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/privateer ./cmd/privateer

demo: build ## build, then play the demo: one worker is killed, one frozen, no request is lost
	./bin/privateer demo

# Built first, so that no compiler takes the cores from a test.
test: deps build ## vet, then all tests: unit, race, fuzz seeds, command line, integration, examples
	@scripts/deps-python
	@scripts/deps-browser
	$(GO) vet ./...
	$(GO) build ./...
	$(GO) build -race ./...
	CGO_ENABLED=0 $(GO) test -timeout=$(TEST_TIMEOUT) $(PURE_PKGS)
	$(GO) test -race -shuffle=on -timeout=$(TEST_TIMEOUT) ./...
	cd bench && $(GO) vet ./... && $(GO) test -timeout=$(TEST_TIMEOUT) ./...

docs: deps ## run and verify what the documents show and name (make test does it too)
	@scripts/deps-python
	$(GO) test -count=1 -timeout=$(TEST_TIMEOUT) ./internal/docs

sim: ## play SEEDS (2000) simulated runs from SEED (0 draws one): no promise may break
	CGO_ENABLED=0 $(GO) run ./internal/sim/run -seeds $(SEEDS) -seed $(SEED)

mutants: ## break the code on purpose, fault by fault: the simulator or a test finds each
	CGO_ENABLED=0 $(GO) run ./internal/sim/mutants

lint: deps ## gofmt, go mod tidy and golangci-lint (installed into .tools) find nothing
	@files=$$(gofmt -l .) || exit 1; test -z "$$files" || { echo "Not formatted; run gofmt -w on:"; echo "$$files"; exit 1; }
	$(GO) mod tidy -diff
	@$(GOLANGCI) version 2>/dev/null | grep -qF 'version $(GOLANGCI_VERSION:v%=%) ' || \
		{ echo "Installing golangci-lint $(GOLANGCI_VERSION) into .tools"; \
		GOBIN='$(CURDIR)/.tools' $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION); }
	$(GOLANGCI) run ./...
	cd bench && $(GO) mod tidy -diff && $(GOLANGCI) run ./...

# Not in .ci/run: it asks the database at vuln.go.dev, which is not reachable everywhere.
vuln: deps ## look for known vulnerabilities in what is linked in (needs the network)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

# One target at a time, because Go fuzzes one at a time. bench is another module.
fuzz: deps ## run every fuzz target for FUZZTIME (30s) each
	@list=$$(grep -rnoE --include='*_test.go' --exclude-dir=bench '^func Fuzz[A-Za-z0-9_]*' . | sort); \
	test -n "$$list" || { echo "No fuzz target found."; exit 1; }; \
	echo "$$list" | while IFS=: read -r file _ name; do \
		echo "== $${file%/*} $${name#func }, $(FUZZTIME)"; \
		$(GO) test -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) "$${file%/*}" </dev/null || exit 1; \
	done

microbench: deps ## run the benchmarks of the codec, the three state machines and the loop (BENCH=pattern)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PURE_PKGS) ./broker

bench: build ## measure the broker beside libzmq's proxy and the guide's queue, in turn: 3 minutes
	cd bench && $(GO) run . -privateer '$(CURDIR)/bin/privateer' $(BENCHFLAGS)

bench-peers: build ## all scenarios, beside NATS, Gearman and RabbitMQ too (apt-get installs the last two): 20 minutes
	@scripts/deps-peers
	cd bench && $(GO) run . -privateer '$(CURDIR)/bin/privateer' -all -rounds 5 -json '$(CURDIR)/bin/bench.json' -plot '$(CURDIR)/bin/bench.png' $(BENCHFLAGS)

# With the race detector, in the processes too: a race ends the run. Built as the
# tests are, so that most of it is compiled already. SEED=0 draws a seed, and the
# line of the result says which.
CHAOS = $(GO) build -race -buildvcs=false -ldflags '-X main.commit=$(COMMIT)' -o bin/chaos ./integration_test/chaos && ./bin/chaos run -seed $(SEED)

chaos: deps ## kill, freeze and cut off real processes (SCENARIO=mixed DURATION=60s SEED=0 KILLS=0 WORKERS=4)
	$(CHAOS) -scenario $(SCENARIO) -duration $(DURATION) -kills $(KILLS) -workers $(WORKERS)

chaos-ci: deps ## six scenarios of faults for 15 seconds each
	$(CHAOS) -scenario ci -duration 15s

chaos-long: deps ## all scenarios of faults for three minutes each
	$(CHAOS) -scenario all -duration 3m

compose-test: ## play kill and restart on real containers (needs a Docker engine)
	scripts/compose-test

deploy-test: ## try the systemd units, the Prometheus rules and the dashboard's queries on the real programs
	@scripts/deploy-test

clean: ## remove what make built
	rm -rf bin .tools coverage.out
