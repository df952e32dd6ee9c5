# SPDX-License-Identifier: Apache-2.0
# Targets of the infrastructure, included by the Makefile at the root.

.PHONY: infra-test

infra-test: ## Test both accounts' infrastructure, offline: apply, refuse, policies, seeded mistakes, linters
	@scripts/install-deps infra
	@python3 infra/tests/run.py all
