"""Every script of host_tests/mpy/test_*.py on both word sizes; it passes when it exits with 0."""

from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "mpy").glob("test_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(mpy, script):
    done = mpy(script, timeout_s=100)
    assert done.returncode == 0, f"{mpy.name} {script.name}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
