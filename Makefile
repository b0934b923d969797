# The same commands locally, in hooks and in CI. Each first installs the packages that it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo install format check test test-all test-oldest fuzz docs dist bench audit clean

demo: .venv/run  ## train on generated cells, print the error next to baselines that ignore the images, write a picture
	$(BIN)/python examples/demo.py

install: .venv/dev  ## install everything that development needs

format: .venv/dev
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell

test: .venv/test
	$(BIN)/python -m pytest -m "not slow and not network and not site"

test-all: .venv/test
	$(BIN)/python -m pytest -m "not network and not site"

test-oldest: .venv-oldest/test  ## test on the lowest versions that pyproject.toml declares, whose warnings are no errors
	.venv-oldest/bin/python -m pytest -W default -m "not slow and not network and not site"

RUNS ?= 20000
fuzz: .venv/fuzz  ## fuzz every file reader, guided by coverage, RUNS executions each
	$(BIN)/python tests/fuzz/fuzz.py --runs $(RUNS)

docs: .venv/dev  ## build the site, and test that nothing is missing in it
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	$(BIN)/python -m pytest -m site tests/docs

dist: .venv/dist  ## build wheel and sdist in dist/, and test the wheel in an empty environment
	$(BIN)/python .ci/dist.py

bench: .venv/bench
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/storage.py
	$(BIN)/python benchmarks/accuracy.py

audit: .venv/audit  ## check the tested versions for known vulnerabilities; needs the network
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

clean:
	rm -rf .venv .venv-oldest build dist docs/_build docs/auto_examples docs/api

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[all]"
	@touch $@

.venv/test: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[test]"
	@touch $@ .venv/run

.venv-oldest/test: pyproject.toml constraints.txt .ci/oldest.py
	$(PYTHON) -m venv .venv-oldest
	$(PYTHON) .ci/oldest.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-oldest/constraints.txt -e ".[test]"
	@touch $@

.venv/bench: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[bench]"
	@touch $@ .venv/test .venv/run

.venv/audit: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[audit]"
	@touch $@

.venv/dist: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[dist]"
	@touch $@

.venv/fuzz: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[fuzz]"
	@touch $@ .venv/test .venv/run

.venv/dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e ".[dev]"
	@touch $@ .venv/test .venv/run
