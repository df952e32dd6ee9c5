# SPDX-License-Identifier: Apache-2.0
# The front door.  Everything here is thin: scripts/ installs, CMake builds, CTest runs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
RELEASE := build/release
PREFIX ?= /usr/local

.PHONY: help demo install deb test test-all lint bench build lambda deps-build deps-test deps-bench deps-lambda fuzz clean
-include infra/infra.mk

help: ## Say what can be made
	@echo "culvert: make TARGET"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

demo: build ## Install what is needed, build, stream simulated sensors through an embedded broker into windows, verify them
	@$(RELEASE)/culvert demo $(DEMO_ARGS)

build: deps-build ## Build build/release/culvert
	@scripts/build release $(JOBS) culvert

install: deps-build ## Install program, manual pages, completions and unit below PREFIX (/usr/local), staged in DESTDIR
	@scripts/build release $(JOBS) culvert documents
	@DESTDIR="$(DESTDIR)" cmake --install $(RELEASE) --prefix "$(PREFIX)" --component culvert

deb: deps-build ## Make a Debian package of the same in build/
	@scripts/build release $(JOBS) culvert documents
	@scripts/package-deb $(RELEASE) build

test: deps-test ## Install what is needed, build, run the tests (under 30 minutes on 2 cores)
	@scripts/test $(JOBS)

test-all: deps-test ## Run every test, the slow ones too
	@scripts/test $(JOBS) all

lint: ## Look at every source with clang-format, shellcheck and clang-tidy (long at first, then only what changed)
	@scripts/lint

bench: deps-bench ## Measure: decode and fold, end to end against peers; prints ratios
	@scripts/bench $(BENCH_ARGS)

lambda: deps-lambda ## Build, pack and check the function: build/lambda/culvert-lambda.zip and culvert-lambda-arm64.zip
	@scripts/build-lambda $(JOBS) $(LAMBDA_ARCH)

deps-build:
	@scripts/install-deps build

deps-test:
	@scripts/install-deps build test infra twin

deps-bench:
	@scripts/install-deps build test bench

deps-lambda:
	@scripts/install-deps build lambda

fuzz: deps-test ## Build the fuzzers with clang and run each for FUZZ_SECONDS (60)
	@scripts/fuzz $(or $(FUZZ_SECONDS),60)

clean: ## Remove build/ (downloads stay cached outside of the tree)
	rm -rf build
