# Everything a newcomer or a developer types. `make` alone lists it.
TOPOLOGY ?= multi_node
SUITE ?= converge
ROUNDS ?= 10

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-all lint unit integration lab bench faults lock options docs runtime-next

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

demo: ## Bring a lab up, make the cluster, run the sample DAGs [TOPOLOGY=multi_node|single_node]
	@tests/tools/bootstrap lab
	@tests/tools/demo up $(TOPOLOGY)

demo-down: ## End the demo's lab and leave nothing behind [TOPOLOGY=...]
	@tests/tools/bootstrap lab
	@tests/tools/demo down $(TOPOLOGY)

test: ## What CI runs: lint, unit, integration, both topologies in the lab [SINCE=COMMIT: also what its changes call for]
	@tests/tools/bootstrap lab
	@.venv/bin/python tests/tools/run_tests.py

test-all: ## Every test, in parts of at most 45 minutes; writes docs/test-report.md [PART="ten hosts: faults"]
	@tests/tools/bootstrap lab
	@.venv/bin/python tests/tools/run_tests.py $(if $(PART),"part:$(PART)",all)

lint: ## Linters alone
	@tests/tools/bootstrap
	@.venv/bin/python tests/tools/run_tests.py lint

unit: ## Unit tests alone
	@tests/tools/bootstrap
	@.venv/bin/python tests/tools/run_tests.py unit

integration: ## The modules against real servers on this machine
	@tests/tools/bootstrap
	@.venv/bin/python tests/tools/run_tests.py integration

lab: ## One topology in the lab [TOPOLOGY=... LONG=1]
	@tests/tools/bootstrap lab
	@.venv/bin/python tests/tools/run_tests.py $(TOPOLOGY)

bench: ## Side-by-side measurements, written into docs/benchmarks.md [SUITE=converge|redis_cluster|airflow|host_files]
	@tests/tools/bootstrap lab
	@.venv/bin/python tests/benchmarks/$(SUITE).py

faults: SUITE = redis
faults: ## Faults under load in the lab; writes docs/reliability.md [SUITE=redis|metastore|airflow|front ROUNDS=10]
	@tests/tools/bootstrap lab
	@.venv/bin/python tests/faults/run.py $(SUITE) $(ROUNDS)

docs: ## Write the generated pages again: READMEs of the roles, docs/{variables,playbooks,reference}.md
	@tests/tools/bootstrap
	@for tool in role_readmes variable_index playbook_map reference_page; do .venv/bin/python tests/tools/$$tool.py; done

runtime-next: ## The patches with the newest Airflow, Celery, kombu and redis-py: a table of what fits; may fail
	@tests/tools/bootstrap
	@.venv/bin/python tests/tools/runtime_next.py

options: ## Make the lists of options that preflight compares with again: Airflow and Redis of this machine
	@tests/tools/bootstrap
	@for file in roles/airflow_common/files/locks/airflow-*-amazon.txt; do \
	  .venv/bin/python tests/tools/option_data.py airflow "$${file%-amazon.txt}.txt" "$$file"; done
	@.venv/bin/python tests/tools/option_data.py redis "$$(command -v redis-server)"

# Those with Amazon's provider come last, as they pin what the others pin.
lock: ## Make Airflow's lock files again
	@tests/tools/bootstrap
	@cd roles/airflow_common/files/locks && for name in $$(ls *.in | grep -v amazon) *-amazon.in; do \
	  base="$${name%-amazon.in}"; \
	  ../../../../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate $$([ "$$base" = "$$name" ] || echo --constraint "$$base.txt") "$$name" -o "$${name%.in}.txt"; done
