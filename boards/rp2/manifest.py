# ruff: noqa: F821
"""For those who build MicroPython: make -C ports/rp2 BOARD=RPI_PICO_W FROZEN_MANIFEST=.../boards/rp2/manifest.py

In place of the port's own boards/manifest.py, without its _boot.py, which formats the flash when a mount fails.
"""

freeze("$(PORT_DIR)/modules", "rp2.py")
freeze("../frozen/rp2", "_boot.py")
include("$(MPY_DIR)/extmod/asyncio")
include("../../tools/manifest.py", board="rp2")
