# Each target does its own set-up: `make run` on a bare machine is enough. The work is in backoffice/dev.py.

SHELL := /bin/sh
# Quoted everywhere: the path may hold spaces, and make may be called from anywhere with -f or -C.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)

.DEFAULT_GOAL := help
.PHONY: help run test check bench setup clean messages

help:
	@echo "make run [PORT=9000]   start the site and the delivery worker, with demonstration data"
	@echo "make test [ARGS=...]   run all tests (SQLite, browser, PostgreSQL, RabbitMQ, Redis)"
	@echo "make check             lint, types, templates, migrations, translations, settings"
	@echo "make bench             measure tables and sending"
	@echo "make messages          refresh and compile the English catalogue"
	@echo "make setup             only prepare the environment and .env"
	@echo "make clean             remove environment, caches and test databases"

run test check bench setup clean messages:
	@cd "$(ROOT)" && for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" -m backoffice.dev $@; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed and was not found. On Debian 12 or newer: apt-get install python3 python3-venv" >&2; exit 1
