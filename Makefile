# Everything a user or a contributor runs. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BUILD := swift build
# Swift's runtime linked in: a fifth less CPU in user space per request (measured with bench-http), and one file to copy.
BUILD_RELEASE := swift build -c release --static-swift-stdlib
RELEASE := .build/release

.PHONY: help setup build release run stop test laws clients checklist nemesis mixed-versions fuzz bench-data lint format docs dist clean

help: ## what can be made
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## install what building and running needs (idempotent)
	@scripts/setup

build: setup ## build for debugging
	@$(BUILD)

release: setup ## build for use: .build/release/apus
	@$(BUILD_RELEASE) --product apus

run: release ## the main job: start a node, import a sample, search it, leave it serving
	@scripts/run

stop: ## end the node that `make run` left serving
	@scripts/stop

test: ## build and pass all tests (real PostgreSQL, nginx and HAProxy, started by the tests)
	@scripts/setup --test
	@scripts/test

laws: ## the law suites at their full sizes (about 20 minutes)
	@scripts/setup --test
	@APUS_LAWS=full scripts/test --filter 'Law|SchemaPropagation'

clients: ## the suites of unmodified clients at their full sizes
	@scripts/setup --test
	@APUS_LAWS=full scripts/test --filter 'QdrantFaceTests|HugrFaceTests'

checklist: release ## the manual checklist of Vectorizer's deployment guide with three nodes: 15 lines PASS or FAIL
	@scripts/setup --test
	@scripts/checklist

nemesis: ## break a real cluster for MINUTES (default 5) with SEED (default 1), and check what its clients were told; as root it can do more
	@scripts/setup --test
	@$(BUILD_RELEASE) --product apus
	@$(BUILD_RELEASE) --product apus-nemesis
	@$(RELEASE)/apus-nemesis --minutes $${MINUTES:-5} --seed $${SEED:-1} $(ARGS)

mixed-versions: ## nodes of an earlier commit (REF; default: the last version's tag, else 20 commits ago) and of this one on one catalog
	@scripts/setup --test
	@scripts/mixed-versions $(REF)

fuzz: ## every fuzz target for SECONDS (default 600) each
	@scripts/setup
	@scripts/fuzz all $${SECONDS_EACH:-600}

bench-data: ## make the second data set of the vector benchmarks: .deps/bench-data/photographs
	@scripts/setup
	@Benchmarks/data/photographs

bench-%: ## one benchmark; ARGS="--rounds 3"; `make bench-help` lists them: bench-vectors, bench-filters, bench-vectors-http, …
	@scripts/setup --test
	@$(BUILD_RELEASE) --product apus
	@$(BUILD_RELEASE) --product apus-bench
	@$(RELEASE)/apus-bench $(if $(filter help,$*),--help,$*) $(ARGS)

lint: ## style: formatting of every Swift file
	@swift format lint --strict --recursive --parallel Sources Tests Benchmarks Fuzz Package.swift

format: ## format every Swift file in place
	@swift format --in-place --recursive --parallel Sources Tests Benchmarks Fuzz Package.swift

docs: build ## write the generated reference: docs/reference/ and Examples/apus.yml
	@.build/debug/apus config reference > docs/reference/configuration.md
	@.build/debug/apus config reference --format yaml > Examples/apus.yml

dist: setup ## a relocatable tarball under dist/, Swift's runtime and libraries included
	@scripts/dist

clean: ## remove what was built
	@rm -rf .build dist
