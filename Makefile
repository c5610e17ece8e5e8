# make figures: environment, every study and notebook at the laptop profile, reports/.  make test: every test.
# PYTHON=python3.12 chooses another interpreter; pip reads its usual settings.
PYTHON ?= python3
READY = .venv/ready

.PHONY: figures test lint
figures: $(READY)
	.venv/bin/deblur figures

test: $(READY)
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto --dist loadfile

lint: $(READY)
	.venv/bin/ruff check .

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[notebooks,perceptual,test]"
	@touch $@
