# SPDX-License-Identifier: Apache-2.0
# Targets of the infrastructure, included by the Makefile at the root.

.PHONY: infra-test twin twin-down
TWIN ?= twin

infra-test: ## Test both accounts' infrastructure, offline: apply, refuse, policies, seeded mistakes, linters
	@scripts/install-deps infra
	@python3 infra/tests/run.py all

twin: ## Run both accounts on this machine: network, Kafka, sensors, function, table (needs root; TWIN_ARGS, TWIN=NAME)
	@python3 -B infra/twin/twin.py rights
	@scripts/install-deps build infra twin
	@scripts/build release $(JOBS) culvert culvert-lambda kafka_admin
	@python3 -B infra/twin/twin.py --name $(TWIN) up $(TWIN_ARGS)

twin-down: ## End the twin and remove every trace of it
	@python3 -B infra/twin/twin.py --name $(TWIN) down
