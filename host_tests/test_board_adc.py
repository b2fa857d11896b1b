"""The RP2040's ADC ring under many random schedules of reads, on both word sizes; SEED as in `make torture`."""

import os
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "mpy/test_board_rp2_adc.py"


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_schedules(mpy):
    seed = int(os.environ.get("GRIDMOTE_SEED", "1")) % 1_000_000
    done = mpy(SCRIPT, *range(seed, seed + 12), timeout_s=550)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
