"""Every board's files compile for its processors; what mpy-cross merely says is an error, too."""

import pytest

from size import compile_one, stage

# RP2040, RP2350, ESP32 and ESP32-S3; the unix ports are compiled by every other test
MARCHES = [("rp2", "armv6m"), ("rp2", "armv7emsp"), ("esp32", "xtensawin")]

LOOP = "import micropython\n@micropython.viper\ndef f(a: int):\n    for i in range(9):\n"
TOO_LONG = LOOP + "        a += i * a\n" * 400


@pytest.mark.parametrize(("board", "march"), MARCHES)
def test_a_board_compiles(tmp_path, board, march):
    assert f"boards/{board}/board.py" in stage(tmp_path, march, board)


def test_a_jump_that_is_too_long(tmp_path):
    (tmp_path / "long.py").write_text(TOO_LONG)
    with pytest.raises(ValueError, match="lib/long.py.*xtensawin.*out of range"):
        compile_one(tmp_path / "long.py", tmp_path / "long.mpy", "lib/long.py", "xtensawin")
    assert compile_one(tmp_path / "long.py", tmp_path / "long.mpy", "lib/long.py", "x64")
