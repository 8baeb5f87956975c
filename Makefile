# Each target does its own set-up: `make run` on a bare machine is enough. The work is in tools/.

SHELL := /bin/sh
# Quoted everywhere: the path may hold spaces, and make may be called from anywhere with -f or -C.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)

# Compiled modules are kept: without them every worker of the tests and every process compiles all of them again.
unexport PYTHONDONTWRITEBYTECODE

# $(call bootstrap,COMMAND): runs tools/bootstrap.py with the first Python that is new enough.
bootstrap = cd "$(ROOT)" && for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" -m tools.bootstrap $(1); \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed and was not found. On Debian 12 or newer: apt-get install python3 python3-venv" >&2; exit 1
# $(call inside,ARGUMENTS): the Python of the development environment, made or brought up to date before.
inside = ($(call bootstrap,dev)) && cd "$(ROOT)" && exec .venv/bin/python $(1)

.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-random coverage slow check bench guide faults soak setup clean messages requirements

help:
	@echo "make run [PORT=9000]    start the site and the delivery worker, with demonstration data"
	@echo "make test [ARGS=...]    run all tests (SQLite, browser, PostgreSQL, RabbitMQ, Redis)"
	@echo "make test-fast          what needs neither browser nor services, without the dearest tests (tests/slow.txt)"
	@echo "make test-random        the tests on SQLite in an order of their own each time; its seed is printed"
	@echo "make coverage           the tests on SQLite, with the share of the product that they run (tests/covered.txt)"
	@echo "make slow               measure again which tests are the dearest (tests/slow.txt)"
	@echo "make check              lint, types, directions, templates, migrations, translations, settings"
	@echo "make bench              measure tables and sending"
	@echo "make guide              take the pictures of docs/guide again, from a demonstration of its own"
	@echo "make faults [ARGS=...]  the fault laboratory, some hours; --help says how to run a part; writes docs/reliability.md"
	@echo "make soak               half an hour at half of the measured capacity; its figures go into the same document"
	@echo "make messages           refresh and compile the English catalogue"
	@echo "make requirements       compile requirements*.txt, with hashes, from requirements*.in"
	@echo "make setup              only prepare the environment and .env"
	@echo "make clean              remove environment, caches and test databases"

run setup clean:
	@$(call bootstrap,$@)

test:
	@$(call inside,-m tools.suite)

ON_SQLITE = not browser and not rabbitmq and not redis
PARALLEL = -n 2 --dist worksteal
test-fast:
	@$(call inside,-m pytest -q $(PARALLEL) -m "$(ON_SQLITE) and not slow" $(ARGS))

test-random:
	@$(call inside,-m pytest $(PARALLEL) -p randomly -m "$(ON_SQLITE)" $(ARGS))

coverage:
	@$(call inside,-m tools.suite coverage)

slow:
	@export WRITE_SLOW=1; $(call inside,-m pytest -q $(PARALLEL) -m "$(ON_SQLITE)" $(ARGS))

check:
	@$(call inside,-m tools.checks all)

bench:
	@$(call inside,-m bench $(ARGS))

guide:
	@$(call inside,-m tools.guide)

faults:
	@$(call inside,-m tests.faults $(ARGS))

soak:
	@$(call inside,-m bench.soak $(ARGS))

messages:
	@$(call inside,-m tools.translations update)

# The compiled lists keep their versions until the .in file says another. Needs uv.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make requirements" .venv/bin/uv pip compile --quiet --generate-hashes \
	--no-strip-extras --no-strip-markers --python-version 3.11 --python-platform linux --annotation-style line
requirements:
	@($(call bootstrap,dev))
	@cd "$(ROOT)" && .venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@cd "$(ROOT)" && $(COMPILE) requirements.in -o requirements.txt && \
		$(COMPILE) requirements-tracing.in -o requirements-tracing.txt && $(COMPILE) requirements-dev.in -o requirements-dev.txt
