# Two commands matter: `make conformance` judges the embedded reference, `make test` proves the suite.
# Both set up what they need; a second call starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where it is set, as in many images, every process would compile anew: pytest a hundred modules at every start.
unexport PYTHONDONTWRITEBYTECODE
READY := $(VENV)/.ready

.PHONY: conformance test lint types imports unit wheel matrix mutants repros kill-points prism schemathesis model-check coverage-page foreign foreign-slice field-report sample format constraints bench bench-network campaign-proof clean

conformance: $(READY)
	@$(BIN)/kms-conformance run $(ARGS)

test: lint types imports unit wheel foreign-slice

$(READY): pyproject.toml setup.py constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	@# For runs that start where bytecode is not written.
	@$(BIN)/python -m compileall -q kms_conformance kms_reference scenarios
	@touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/pytest -n 2 --dist loadgroup -q tests

wheel: $(READY)
	$(BIN)/python tests/wheel_check.py

# The cases against every defect and variation of the references: docs/kill-matrix.md and .json (ARGS=--full: every pair).
matrix: $(READY)
	$(BIN)/python tests/proof/matrix.py $(ARGS)

# Small changes of the references' own code that no case notices: ARGS="kms_reference/iks/state.py" (a second a change).
mutants: $(READY)
	$(BIN)/python tests/proof/mutants.py $(ARGS)

# The reproduction of each defect's first failing case, on the broken and on a sound server (some minutes).
repros: $(READY)
	$(BIN)/python tests/proof/repros.py $(ARGS)

# Runs ended by kill -9 at 200 requests beside the things of others, each followed by sweep (some 20 minutes).
kill-points: $(READY)
	$(BIN)/python tests/proof/kill_points.py $(ARGS)

# Prism (npm) between suite and reference: an independent program checks each answer by our OpenAPI document (some two minutes).
prism: $(READY)
	$(BIN)/python tests/proof/prism.py $(ARGS)

# Schemathesis's own command line on the three OpenAPI documents and the reference (some five minutes).
schemathesis: $(READY)
	$(BIN)/python tests/proof/schemathesis_witness.py $(ARGS)

# Model and reference of Key Protect walked against each other, in both editions (some three minutes).
model-check: $(READY)
	$(BIN)/python -m tools.model_check $(ARGS)

# How much of the source pages a run puts to the test: docs/coverage.md.
coverage-page: $(READY)
	PYTHONPATH=. $(BIN)/python tests/proof/coverage_page.py

# The report in reports/sample, which a change of cases, contracts or outputs makes stale.
sample: $(READY)
	$(BIN)/python tests/proof/sample.py

# Servers of AWS KMS that others have written, each in an environment of its own, judged on loopback (some two minutes).
foreign: $(READY)
	$(BIN)/python tests/foreign/judge.py $(ARGS)

# One of them, and the cases of a few areas: as much as every change can wait for (some twenty seconds with its installation).
foreign-slice: $(READY)
	$(BIN)/python tests/foreign/judge.py ministack --no-defects -k "test_aliases or test_deletion or test_context"

# What is found, written down for those who make them: docs/field-report.md.
field-report: $(READY)
	$(BIN)/python tests/foreign/judge.py --no-defects --report docs/field-report.md $(ARGS)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Writes the versions of the present environment; run it after raising a lower bound in pyproject.toml.
constraints: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable --all | grep -v -i -E '^(setuptools|wheel)==' > constraints.txt

# Requests a second of each way to fuzz, against one reference; medians of three rounds (some five minutes).
bench: $(READY)
	$(BIN)/python benchmarks/fuzz_speed.py

# The suite far away from the endpoint beside the suite on loopback: 0, 20, 80 and 200 ms, three rounds (some 15 minutes).
bench-network: $(READY)
	$(BIN)/python benchmarks/network.py $(ARGS)

# Campaigns: real schedulers, object storage, Redis and Locust, then workers that are killed, rates, plans and speed (some 25 minutes).
campaign-proof: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group campaign
	$(BIN)/pytest -q -rs tests/campaign
	$(BIN)/python benchmarks/campaign_faults.py
	$(BIN)/python benchmarks/campaign_rate.py
	$(BIN)/python benchmarks/campaign_plan.py
	$(BIN)/python benchmarks/campaign_scaling.py
	$(BIN)/python benchmarks/campaign_scaling.py --delay 0 --workers 1,2

clean:
	rm -rf $(VENV) build dist *.egg-info reports/out .kms-conformance
