"""The outbox's random walks and rotten logs at length, on both word sizes; SEED as in `make torture`."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.torture

SCRIPTS = Path(__file__).parent / "mpy"
WALKS = 60  # of each kind


@pytest.mark.timeout(600)
def test_walks_against_a_model(mpy):
    seed = int(os.environ.get("GRIDMOTE_SEED", "1")) % 1_000_000
    done = mpy(SCRIPTS / "test_outbox_model.py", *range(seed, seed + WALKS), timeout_s=500)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    print(done.stdout)


@pytest.mark.timeout(600)
def test_rotten_logs(mpy):
    done = mpy(SCRIPTS / "test_outbox_log.py", 400, timeout_s=500)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
