# Everything a person does with this repository. Go, make and git are all it takes; what else is needed is fetched at pinned versions.
# Works from the repository's root. `make` alone lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# No C compiler is needed, and what is tested is what the image holds: a static binary.
export CGO_ENABLED ?= 0

# Listing the targets must work on a machine that has nothing yet; everything else says plainly what is missing.
ifneq (,$(filter-out help clean,$(MAKECMDGOALS)))
  ifeq (,$(shell command -v go))
    $(error Go is not on PATH. Install Go 1.26 or newer (https://go.dev/dl/) and try again)
  endif
  ifeq (,$(shell command -v git))
    $(error git is not on PATH. Install git with your system's package manager and try again)
  endif
endif

MODULES  := proto pkg services e2e
PACKAGES := $(MODULES:%=./%/...)
COMMANDS := $(wildcard services/*/cmd/*)
# More flags for `make test`, for example TESTFLAGS='-run TestBatch -v'.
TESTFLAGS ?=
# How long `make fuzz` spends on each target.
FUZZTIME ?= 10s
# More flags for `make run` and `make demo`, for example RUNFLAGS='--help'.
RUNFLAGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

# --- tools: one module each, outside the workspace, so that no tool's needs reach the product. Built again when its versions change.
BUF     := .bin/buf
PLUGINS := .bin/protoc-gen-go
LINTER  := .bin/golangci-lint
GRPCURL := .bin/grpcurl
KUSTOMIZE := .bin/kustomize
TOXIPROXY := .bin/toxiproxy

.PHONY: tools
tools: $(BUF) $(PLUGINS) $(LINTER) $(GRPCURL) $(KUSTOMIZE) $(TOXIPROXY) ## Build the pinned tools into .bin

$(BUF): tools/buf/go.mod tools/buf/go.sum
$(PLUGINS): tools/plugins/go.mod tools/plugins/go.sum
$(LINTER): tools/lint/go.mod tools/lint/go.sum
$(GRPCURL): tools/grpcurl/go.mod tools/grpcurl/go.sum
$(KUSTOMIZE): tools/kustomize/go.mod tools/kustomize/go.sum
$(BUF) $(PLUGINS) $(LINTER) $(GRPCURL) $(KUSTOMIZE):
	@cd $(dir $<) && GOWORK=off ../progress.sh "building $(notdir $@) (once; minutes when cold)" go build -v -o ../../.bin/ tool
	@touch $@

# Its command is called `server`; it gets a name of its own here.
$(TOXIPROXY): tools/toxiproxy/go.mod tools/toxiproxy/go.sum
	@cd $(dir $<) && GOWORK=off ../progress.sh "building toxiproxy" go build -v -o ../../.bin/toxiproxy tool
	@touch $@

# --- contract
.PHONY: generate
generate: $(BUF) $(PLUGINS) ## Write the Go code, JSON stubs and OpenAPI document of the contract
	@tools/generate.sh .

.PHONY: release-proto
release-proto: $(BUF) ## Write proto/released.binpb: what later changes of the contract are held against
	@tools/export-protos.sh
	@$(BUF) build proto --as-file-descriptor-set --exclude-source-info -o proto/released.binpb
	@echo "wrote proto/released.binpb; commit it with the release"

.PHONY: proto-dist
proto-dist: $(BUF) ## Write dist/lianhu-proto.zip and dist/lianhu.binpb for partners in any language
	@tools/proto-dist.sh dist

# --- code
.PHONY: fmt
fmt: $(BUF) ## Format Go and proto files
	@gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')
	@for module in proto pkg/internal/specimen; do $(BUF) format -w $$module; done

.PHONY: lint
lint: $(BUF) $(LINTER) ## Lint Go and proto files
	@tools/export-protos.sh
	@$(BUF) lint
	@$(LINTER) run $(PACKAGES)

.PHONY: build
build: ## Build lianhu and the services into .bin
	@tools/progress.sh "building $(notdir $(COMMANDS))" go build -v -o .bin/ $(COMMANDS:%=./%)

.PHONY: tidy
tidy: ## Tidy go.mod and go.sum of the four modules
	@for module in $(MODULES); do echo "tidy $$module"; (cd $$module && GOWORK=off go mod tidy); done

# --- running
.PHONY: run
run: build ## Start the whole suite on this machine, play the journeys, stay up
	@.bin/lianhu run $(RUNFLAGS)

.PHONY: demo
demo: build ## Start the suite, play the journeys, count the five promises, exit
	@.bin/lianhu demo $(RUNFLAGS)

# --- deploying
.PHONY: image-files
image-files: ## Write dist/image: the static binary and the district package that deploy/Containerfile copies
	@mkdir -p dist/image
	@tools/progress.sh "building lianhu for the image" go build -v -trimpath -o dist/image/lianhu ./services/suite/cmd/lianhu
	@rm -rf dist/image/district && cp -R districts/xinbei dist/image/district
	@echo "wrote dist/image; build it with: docker build -t lianhu:VERSION -f deploy/Containerfile dist/image"

.PHONY: manifests
manifests: $(KUSTOMIZE) ## Write dist/lianhu.yaml: what the Kubernetes base renders
	@mkdir -p dist
	@$(KUSTOMIZE) build deploy/base >dist/lianhu.yaml
	@echo "wrote dist/lianhu.yaml"

# --- proof
# No result comes from the cache: it does not see that districts/ or docs/ changed, which lie outside the modules that read them.
.PHONY: test
test: ## Run every test on a real PostgreSQL (TESTFLAGS='-run X -v' for more flags)
	@tools/progress.sh "building the tests' server" go build -v -o .bin/ ./pkg/pgtest/pgrun
	@echo "testing $(MODULES): one line for each package as it ends"
	@.bin/pgrun go test -count=1 $(TESTFLAGS) $(PACKAGES)

# The packages of the Node client, at the versions and digests of its lock file.
NODE_MODULES := e2e/clients/node/node_modules/.package-lock.json
$(NODE_MODULES): e2e/clients/node/package-lock.json
	@command -v npm >/dev/null || { echo "npm is not on PATH. Install Node 20 or newer and try again"; exit 1; }
	@npm ci --prefix e2e/clients/node --ignore-scripts --no-audit --no-fund --loglevel=error

.PHONY: dispatch-drill
dispatch-drill: proto-dist $(NODE_MODULES) ## Push from four sources while lines, services and PostgreSQL fail (SHORT=1, SEED=n)
	@go run ./e2e/drill -proto dist/lianhu-proto.zip $(if $(SHORT),-short) $(if $(SEED),-seed $(SEED))

# Node with npm, and a JDK with gRPC's jars, which root gets from Debian's packages. buf compiles the contract for Go.
.PHONY: clients
clients: proto-dist ## Build the example clients from the contract's archive alone and run each against the instrument and the suite
	@tools/example-packages.sh
	@echo "building and running the example clients of docs/dispatch.md"
	@go test -tags clients -count=1 -timeout 20m $(TESTFLAGS) -run 'TestTheExampleClients' ./e2e/conformance ./e2e/docs

# Needs npm and a JDK. Apart from `make clients`: the calls of the generated clients have not yet been seen on every machine.
.PHONY: openapi-clients
openapi-clients: proto-dist ## Lint the OpenAPI document, generate a TypeScript and a Java client from it, and call a suite with both
	@go test -tags openapi_clients -count=1 -timeout 20m $(TESTFLAGS) -run 'TestTheExampleClientsGenerated' ./e2e/docs

# Some minutes, and not part of `make test`: what it excuses stands in e2e/matter/known_holes.txt, and each line there is a hole.
.PHONY: holders
holders: ## Try on the real suite that whoever holds an item, or is offered it, can read it and move it on
	@tools/progress.sh "building the tests' server" go build -v -o .bin/ ./pkg/pgtest/pgrun
	@.bin/pgrun go test -tags holders -count=1 -timeout 40m $(TESTFLAGS) -run TestWhoHoldsCanAct ./e2e/matter

# SHORT=1 is two minutes, SOAK=6h as long as it says, nothing ten minutes. SEED=n repeats a storm.
.PHONY: storm
storm: $(TOXIPROXY) ## Kill, cut and flood the real suite and count what was lost (SHORT=1, SOAK=6h, SEED=n)
	@tools/progress.sh "building the storm" go build -v -o .bin/ ./e2e/storm/cmd/storm
	@.bin/storm $(if $(SEED),-seed $(SEED)) $(if $(SHORT),-short) $(if $(SOAK),-soak $(SOAK))

# Each twin is the suite broken in one place by a build tag; TWINS='twin_x twin_y' runs some.
.PHONY: storm-twins
storm-twins: $(TOXIPROXY) ## Prove that the storm's checkers see what they are for, on suites broken on purpose
	@tools/progress.sh "building the storm" go build -v -o .bin/ ./e2e/storm/cmd/storm
	@status=0; for twin in $(or $(TWINS),$$(.bin/storm -twins)); do .bin/storm -twin $$twin $(if $(SEED),-seed $(SEED)) || status=1; done; exit $$status

.PHONY: fuzz
fuzz: ## Fuzz every decoder and token in turn (FUZZTIME=10s each)
	@tools/fuzz.sh $(FUZZTIME)

.PHONY: verify
verify: $(BUF) $(PLUGINS) $(LINTER) ## Check everything that needs no running suite; STEPS='lint docs' runs some
	@tools/verify.sh $(STEPS)

.PHONY: clean
clean: ## Remove what was built; data of the suite in .lianhu stays
	@rm -rf .bin dist third_party
