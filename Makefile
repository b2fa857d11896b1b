# Gridmote: `make help` lists what can be made; all of it sets itself up.
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo flash emulate test torture bench check size size-diff clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: ## what demo and tests need, into .venv and .deps; no root
	@python3 tools/setup.py

demo: setup ## broker, meter, PDC adapter and a PDC, for a minute, with the broker cut and the meter killed
	@.venv/bin/gridmote demo

flash: setup ## the application onto a board: BOARD=rp2 or esp32, PORT=/dev/ttyACM0, NODE=folder or CONFIG=meter.json
	@.venv/bin/gridmote flash --board "$(or $(BOARD),rp2)" $(if $(PORT),--port "$(PORT)") \
		$(if $(CONFIG),--config "$(CONFIG)") $(if $(NODE),--node "$(NODE)") $(FLAGS)

emulate: setup ## flash and meter on an emulated Pico W: UF2=MicroPython's image, CONFIG=meter.json
	@$(PY) tools/emulate.py $(if $(UF2),--image "$(UF2)") $(if $(CONFIG),--config "$(CONFIG)") $(FLAGS)

test: check ## all tests but the long ones, on both word sizes
	@.venv/bin/pytest -q -n 3 host_tests -m "not torture"

torture: setup ## long and randomised runs; SEED=... repeats one
	@seed=$${SEED:-$$(date +%s)}; echo "SEED=$$seed"; GRIDMOTE_SEED=$$seed GRIDMOTE_EXAMPLES_TIMES=20 \
		.venv/bin/pytest -q -rP -n 3 host_tests -m "torture or hypothesis" --hypothesis-seed=$$seed --timeout=600

bench: setup ## wall-clock figures as ratios, also in build/bench.json
	@$(PY) -m host_tests.bench

check: setup ## ruff, and the directions of imports
	@.venv/bin/ruff check -q .
	@$(PY) tools/check.py

size: setup ## bytes of each module compiled for each board, and of what is loaded together
	@$(PY) tools/size.py

size-diff: setup ## the same against the last commit
	@$(PY) tools/size.py diff

clean: ## remove what was built; .venv and .deps stay
	@rm -rf build .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.deps/*' -prune -exec rm -rf {} +
