# ruff: noqa: F821
"""For those who build MicroPython: make -C ports/esp32 FROZEN_MANIFEST=.../boards/esp32/manifest.py

The port's own _boot.py stays: it formats flash that is erased, and no other.
"""

freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
include("../../tools/manifest.py", board="esp32")
