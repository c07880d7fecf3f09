# make demo   install, train the built-in demo, end with its verdict
# make test   install with the test tools, run every check
# make quick  install with the test tools, run the checks without the slow tests
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
export PYTHON

.PHONY: demo test quick

demo: .venv/.installed
	.venv/bin/burnish run recipes/cad/recipe.yaml --out runs/demo --replace

test: .venv/.installed-test
	scripts/check

quick: .venv/.installed-test
	scripts/check --quick

# an install with the test tools is also one without, so it sets both stamps
.venv/.installed: pyproject.toml constraints.txt
	scripts/install '.[cad]'
	@touch $@

.venv/.installed-test: pyproject.toml constraints.txt
	scripts/install '.[test]'
	@touch .venv/.installed $@
