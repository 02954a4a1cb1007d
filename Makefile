# The only entry point: each target first sees to what it needs (the virtualenv, a Docker engine, images of hosts).
# FLASKOPS_PYTHON=python3.12 chooses the interpreter, FLASKOPS_HOSTS=ubuntu|debian the test hosts.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
SCENARIO ?= default
CHECKS := lint types unit sanity molecule

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PY_COLORS ?= 0
export NO_COLOR ?= 1
export PYTHONUNBUFFERED := 1
# What the environment says of Ansible is meant for other inventories.
unexport ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH ANSIBLE_ROLES_PATH ANSIBLE_INVENTORY

# An option and its value, when the caller has set the variable of that name on make's command line.
upper = $(shell printf '%s' $(1) | tr a-z A-Z)
given = $(if $(findstring command,$(origin $(call upper,$(1)))),--$(1) '$(subst ','\'',$($(call upper,$(1))))')

.PHONY: help venv demo demo-down test lint types unit sanity docs-check molecule bench matrix faults screenshots specs changelog pins clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## a host in a container with two applications behind nginx; or yours: APP=module:app SOURCE=… DOMAIN=… [NAME=…]
	@$(PYTHON) -m tools.cli.demo check $(foreach option,app source domain name,$(call given,$(option)))
	@$(MAKE) venv
	@python -m tools.cli.demo up $(foreach option,app source domain name,$(call given,$(option)))

demo-down: ## remove the demo's host
	@$(PYTHON) -m tools.cli.demo down

test: venv ## everything that has to pass: lint, types, unit, sanity, molecule
	@python -m tools.cli.summary $(CHECKS)

lint: venv ## ansible-lint, yamllint, ruff, shellcheck, the changelog's fragments, what `make specs` writes
	ruff check --quiet
	ruff format --check --quiet
	yamllint --strict .
	git ls-files -z .ci/run '*.sh' | xargs -0 shellcheck
	antsibull-changelog lint
	python -m tools.cli.specs --check
	ansible-lint

types: venv ## mypy --strict
	mypy

unit: venv ## the tests of the pure code, and of roles against their specifications
	pytest --quiet --cov=plugins --cov-report= tests/unit
	@echo "coverage of plugins/ by unit tests, in percent of lines: $$(coverage report --format=total)"
	@coverage report --format=total --fail-under=85 >/dev/null

sanity: venv ## ansible-test sanity, on every Python that is found
	python -m tools.cli.ansible_test sanity

docs-check: venv ## antsibull-docs: the documentation of modules, roles and filters
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self --check-extra-docs-refs .

molecule: venv ## a scenario on test hosts: SCENARIO=default
	python -m tools.cli.scenario $(SCENARIO)

bench: venv ## how long it takes, in ratios to something simpler: PART=site, latency, requests or nginx
	@python -m tools.lab.images
	python -m tools.cli.bench $(PART)

matrix: venv ## nginx of four distributions accepts every combination of options of sites: DISTRIBUTIONS="bullseye forky"
	@python -m tools.cli.matrix $(foreach option,distributions every,$(call given,$(option)))

faults: venv ## try to break what promises to survive: PART=nginx, fence, gunicorn or planted, DISTRIBUTIONS="newer older bullseye forky", EVERY=10, MINUTES=50
	@python -m tools.cli.faults $(foreach option,part distributions every minutes,$(call given,$(option)))

screenshots: venv ## take the pictures of the error pages in docs/error-pages, with Chromium on a test host
	@python -m tools.cli.screenshots

specs: venv ## write all that shows or reads options (specifications, documentation, defaults, READMEs) from tools/specs/schema
	@python -m tools.cli.specs

changelog: venv ## add the fragments of changelogs/fragments to CHANGELOG.md, under the version of galaxy.yml
	antsibull-changelog release

pins: venv ## resolve requirements/*.in again, for every Python
	python -m pip install --quiet uv
	for name in dev judges; do \
	  uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	    --custom-compile-command 'make pins' --output-file requirements/$$name.txt requirements/$$name.in || exit 1; \
	done

clean: demo-down ## remove what make has made in this checkout
	rm -rf .venv .cache build

venv:
	@$(PYTHON) -m tools.cli.make_venv
