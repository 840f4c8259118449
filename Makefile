# Everything a developer types. `make` alone lists the targets.
#
# demo and test are the two commands of the README: each does all that it
# needs, on a Debian or Ubuntu that has nothing but Go and make.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps build build-libzmq demo test test-quick docs sim sim-long mutants lint vuln fuzz bench bench-peers microbench chaos chaos-ci chaos-long compose-test deploy-test clean

GO           ?= go
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT       ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
TEST_TIMEOUT ?= 25m
FUZZTIME     ?= 30s
BENCH        ?= .
BENCHFLAGS   ?=
TRANSPORT    ?= zmtp
TAGS          = $(if $(filter libzmq,$(TRANSPORT)),-tags privateer_libzmq)
SEEDS        ?= 2000
LONG         ?= 1000000
SCENARIO     ?= mixed
DURATION     ?= 60s
SEED         ?= 0
KILLS        ?= 0
WORKERS      ?= 4

# The packages with neither socket nor clock, and the link in Go; they must build
# without cgo. Each is named twice because Go is silent about a pattern (./x/...)
# that matches nothing, but not about a missing directory (./x).
PURE      := protocol internal/core internal/workercore internal/clientcore internal/flat
PURE_PKGS := $(PURE:%=./%) $(PURE:%=./%/...) ./internal/link ./internal/link/zmtplink ./internal/link/zmtplink/zmtp ./internal/link/pool

# The packages over libzmq; all others build without cgo.
NEEDS_CGO := /(transport/libzmq|internal/link/zmqlink|examples/guide/[a-z]+)$$

# What a user's program imports: it builds on other systems, from here. The command
# does on macOS, too; on Windows it has no process groups to end its programs by.
PUBLIC := ./client ./worker ./broker

# One cell of the matrix for each dialect is played on libzmq, too; all of them with TRANSPORT=libzmq.
LIBZMQ_CELLS := plain_REQ_×_PPP|MDP_0.1_×_MDP_0.1|MDP_0.2_×_MDP_0.2|PRV1_DEALER_×_PRV1

GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
GOLANGCI         := $(CURDIR)/.tools/golangci-lint

help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: ## install libzmq, pkg-config and a C compiler when they are missing
	@scripts/deps

# No VCS stamp: it fails in a clone that another user owns, and -X says more.
BUILD = $(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/privateer ./cmd/privateer

build: ## build ./bin/privateer: needs Go and nothing else
	CGO_ENABLED=0 $(BUILD)

build-libzmq: deps ## the same with the transport libzmq built in
	CGO_ENABLED=1 $(BUILD)

demo: ## build, then play the demo: one worker is killed, one frozen, no request is lost
	@echo "Compiling bin/privateer: 1 to 3 minutes the first time, some seconds later on (.tools/build.log)"
	@begin=$$(date +%s); scripts/quietly build $(MAKE) --no-print-directory build && echo "Compiled in $$(($$(date +%s) - begin)) s"
	@echo "Playing the demo: ./bin/privateer demo"
	@./bin/privateer demo

# Built first, so that no compiler takes the cores from a test.
test: deps build-libzmq ## vet, then all tests: unit, race, fuzz seeds, command line, integration, examples (TRANSPORT=zmtp)
	@scripts/deps-python
	@scripts/deps-java
	@scripts/deps-browser
	$(GO) vet ./...
	$(GO) build $(TAGS) ./...
	$(GO) build -race $(TAGS) ./...
	CGO_ENABLED=0 $(GO) build $$($(GO) list -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' ./... | grep -vE '$(NEEDS_CGO)')
	CGO_ENABLED=0 GOOS=darwin $(GO) build $(PUBLIC) ./cmd/privateer
	CGO_ENABLED=0 GOOS=windows $(GO) build $(PUBLIC)
	CGO_ENABLED=0 $(GO) test -timeout=$(TEST_TIMEOUT) $(PURE_PKGS)
	GO=$(GO) scripts/gotest -race -shuffle=on -timeout=$(TEST_TIMEOUT) $(TAGS) ./...
	$(GO) test -tags privateer_libzmq -timeout=$(TEST_TIMEOUT) -run 'TestConformance|TestMatrix/^($(LIBZMQ_CELLS))$$' ./integration_test
	CGO_ENABLED=0 $(GO) test -tags netpoller -timeout=$(TEST_TIMEOUT) ./internal/link/zmtplink ./broker
	cd bench && $(GO) vet ./... && $(GO) test -timeout=$(TEST_TIMEOUT) ./...

# Without processes, browsers, cgo and the race detector.
test-quick: ## the tests that need nothing but Go and two minutes
	CGO_ENABLED=0 GO=$(GO) scripts/gotest -timeout=5m $$(CGO_ENABLED=0 $(GO) list ./... | grep -vE '$(NEEDS_CGO)' | grep -vE '/(integration_test|examples|deploy|cmd/privateer|internal/(docs|adminpage|conformance))(/|$$)')

docs: deps ## run and verify what the documents show and name (make test does it too)
	@scripts/deps-python
	$(GO) test -count=1 -timeout=$(TEST_TIMEOUT) ./internal/docs

sim: ## play SEEDS (2000) simulated runs from SEED (0 draws one): no promise may break
	CGO_ENABLED=0 $(GO) run ./internal/sim/run -seeds $(SEEDS) -seed $(SEED)

sim-long: ## play LONG (1000000) seeds, nicely; interrupt it when you like: the next call goes on from there
	CGO_ENABLED=0 $(GO) build -buildvcs=false -o bin/sim ./internal/sim/run
	nice -n 19 ./bin/sim -state bin/sim-long.json -seeds $(LONG) -seed $(SEED)

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

bench: deps build ## measure the Go packages beside NATS, and the broker beside libzmq's proxy and the guide's queue, in turn: 5 minutes
	cd bench && $(GO) run . -privateer '$(CURDIR)/bin/privateer' $(BENCHFLAGS)

bench-peers: deps build ## all scenarios, beside Gearman and RabbitMQ too (apt-get installs these two): 25 minutes
	@scripts/deps-peers
	cd bench && $(GO) run . -privateer '$(CURDIR)/bin/privateer' -all -rounds 5 -json '$(CURDIR)/bin/bench.json' -plot '$(CURDIR)/bin/bench.png' $(BENCHFLAGS)

# With the race detector, in the processes too: a race ends the run. Built as the
# tests are, so that most of it is compiled already. SEED=0 draws a seed, and the
# line of the result says which.
CHAOS = $(GO) build -race -buildvcs=false -ldflags '-X main.commit=$(COMMIT)' -o bin/chaos ./integration_test/chaos && ./bin/chaos run -seed $(SEED)

chaos: deps ## kill, freeze and cut off real processes (SCENARIO=mixed DURATION=60s SEED=0 KILLS=0 WORKERS=4)
	$(CHAOS) -scenario $(SCENARIO) -duration $(DURATION) -kills $(KILLS) -workers $(WORKERS)

chaos-ci: deps ## six scenarios of faults for 15 seconds each, one on libzmq, and one of attacks without the race detector
	$(CHAOS) -scenario ci -duration 15s
	$(GO) build -buildvcs=false -o bin/chaos-plain ./integration_test/chaos
	./bin/chaos-plain run -seed $(SEED) -scenario hostile -duration 15s
	$(GO) build -tags privateer_libzmq -buildvcs=false -o bin/chaos-libzmq ./integration_test/chaos
	./bin/chaos-libzmq run -seed $(SEED) -scenario mixed -duration 15s

chaos-long: deps ## all scenarios of faults for three minutes each
	$(CHAOS) -scenario all -duration 3m

compose-test: ## play kill and restart on real containers (needs a Docker engine)
	scripts/compose-test

deploy-test: ## try the systemd units, the Prometheus rules and the dashboard's queries on the real programs
	@scripts/deploy-test

clean: ## remove what make built
	rm -rf bin .tools coverage.out
