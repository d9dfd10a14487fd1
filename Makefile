GO ?= go

# The versions of the tools, here and nowhere else.
STATICCHECK_VERSION  := v0.8.2
GOLANGCILINT_VERSION := v2.15.0

staticcheck  := bin/staticcheck-$(STATICCHECK_VERSION)/staticcheck
golangcilint := bin/golangci-lint-$(GOLANGCILINT_VERSION)/golangci-lint

# Servers that tests run against. Their versions are those of the modules below
# tools, each of which is there to build one. They are not in go.work: what a
# server requires would choose the versions that everything else is built with.
etcd := bin/etcd-$(shell sed -n 's|^.*go.etcd.io/etcd/server/v3 \(v[^ ]*\).*|\1|p' tools/etcd/go.mod)/etcd

# "work" is every module of go.work; "./..." would be the root module alone.
# Tests that skip a store write it to $TENURE_SKIPPED, because go test hides what
# a package prints when it passes.
gotest = log=$$(mktemp) || exit; TENURE_SKIPPED=$$log $(GO) test -timeout 8m $(1) work; \
	status=$$?; sort -u $$log >&2; rm -f $$log; exit $$status

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: test
test: ## test every module; needs Go alone, and skips what needs a server that is not built
	@$(call gotest)

.PHONY: race
race: ## the same under the race detector; needs a C compiler
	@$(call gotest,-race -parallel 3) # processes are slow under it, and their leases are not

.PHONY: bench
bench: ## run every benchmark once
	$(GO) test -run '^$$' -bench . -benchmem -p 1 work

.PHONY: long
long: simulate model ## the long campaigns: random schedules; the whole model; processes killed, stopped and told to stop
	$(GO) test -count=1 -v -timeout 60m -run '^TestCampaign$$' ./cmd/tenure -rounds 200
	$(GO) test -count=1 -v -timeout 60m -run '^TestShell' . -shell.schedules 20000

# As many as there is time for: make simulate SCHEDULES=50000
SCHEDULES ?= 1000000

.PHONY: simulate
simulate: ## random schedules of the protocol, a million and half as many that break the assumptions; and of clusters
	$(GO) test -count=1 -v -timeout 60m -run '^TestSchedules$$' ./internal/protocol -schedules $(SCHEDULES)
	$(GO) test -count=1 -v -timeout 60m -run '^TestSchedules$$' ./cluster -cluster.schedules $$(($(SCHEDULES) / 200))

# "short" for less than a minute, or the name of a case.
MODEL ?=

.PHONY: model
model: ## the protocol in the model checker spin, and what it finds with each rule taken out
	model/run $(MODEL)

.PHONY: measure
measure: ## times and idle cost of the command, in real processes; for a quiet machine
	$(GO) test -count=1 -v -timeout 20m -run '^TestMeasure' ./cmd/tenure -measure

.PHONY: year
year: ## the hand-overs of a year over an embedded server, compressed into minutes
	$(GO) test -count=1 -v -timeout 60m -run '^TestYear$$' ./embedded -embedded.year 525600

.PHONY: compare
compare: etcd ## beside the packages of others over a real etcd; for a quiet machine
	cd test/bench && GOWORK=off $(GO) run . -draw ../../docs/pictures

.PHONY: nodes
nodes: etcd ## clusters of 50 nodes, over etcd and SQLite; for a quiet machine
	cd test/bench && GOWORK=off $(GO) run . -only nodes

.PHONY: raft
raft: ## the leadership of raft clusters, beside raft alone; for a quiet machine
	cd test/bench && GOWORK=off $(GO) run . -only raft

.PHONY: interop
interop: tools ## with what others have: managers of controller-runtime, and what docs/coming-from.md says of others
	cd test/interop && export GOWORK=off && $(GO) mod tidy -diff && $(GO) vet ./... && \
	../../$(staticcheck) ./... && ../../$(golangcilint) run ./... && $(GO) test -count=1 -timeout 4m ./...

# Each for so long, or for so many inputs: make fuzz FUZZTIME=5m, FUZZTIME=1000x. One that fails with
# "context deadline exceeded" and nothing else has met go.dev/issue/75804, which Go 1.27 has mended.
# FUZZ picks some, by an extended regular expression over "PACKAGE TARGET".
FUZZTIME ?= 1m
FUZZ     ?= .

.PHONY: fuzz
fuzz: ## every fuzz target of every module, one after the other
	@list=$$($(GO) test -list '^Fuzz' work) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { f[n++] = $$1 } /^ok/ { while (n) print $$2, f[--n] }' | grep -E -e '$(FUZZ)' | \
	while read -r package target; do \
		echo "--- $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 1 $$package </dev/null || exit; \
	done

# For so long: make chaos CHAOS=3m
CHAOS ?= 30m

.PHONY: chaos
chaos: etcd ## real etcd servers and processes, and everything that can go wrong with them
	cd test/chaos && $(GO) run . -for $(CHAOS)

# For so many: make scheduler KILLS=10
KILLS ?= 100

.PHONY: scheduler
scheduler: ## examples/scheduler, with its processes killed at random; the job count adds up
	$(GO) test -count=1 -v -timeout 60m -run '^TestNoJobIsLost$$' ./examples/scheduler -kills $(KILLS)

# For so many: make raftkv ROUNDS=4
ROUNDS ?= 40

.PHONY: raftkv
raftkv: ## examples/raftkv, whose leader is cut off; its work stops before that of the next one begins
	$(GO) test -count=1 -v -timeout 60m -run '^TestPartitions$$' ./examples/raftkv -rounds $(ROUNDS)

.PHONY: build
build: ## build the command, as ./tenure
	$(GO) build -o tenure ./cmd/tenure

.PHONY: cli
cli: ## write docs/cli.md, which is what the commands say of themselves
	$(GO) test -count=1 -run '^TestCLIPage$$' ./cmd/tenure -update

.PHONY: check
check: fmt vet staticcheck lint ## all that reads code without running it

.PHONY: fmt
fmt: ## fail if gofmt would change a file
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then printf 'not formatted:\n%s\n' "$$files" >&2; exit 1; fi

.PHONY: vet
vet: ## go vet
	$(GO) vet work

.PHONY: staticcheck
staticcheck: $(staticcheck) ## staticcheck
	$(staticcheck) work

.PHONY: lint
lint: $(golangcilint) ## golangci-lint
	$(golangcilint) run $$($(GO) list -m -f '{{.Dir}}/...')

.PHONY: tools
tools: $(staticcheck) $(golangcilint) ## install the tools into ./bin

$(staticcheck):
	GOBIN=$(CURDIR)/$(@D) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

$(golangcilint):
	GOBIN=$(CURDIR)/$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCILINT_VERSION)

.PHONY: etcd
etcd: $(etcd) $(etcd)-faulty ## build the etcd servers that tests run against into ./bin

$(etcd): # "go install" refuses modules with replace directives
	cd tools/etcd && GOWORK=off $(GO) build -o $(CURDIR)/$@ go.etcd.io/etcd/server/v3

$(etcd)-faulty: tools/etcd/faulty tools/etcd/testdata/skew.go tools/etcd/testdata/stall.go
	tools/etcd/faulty $@
