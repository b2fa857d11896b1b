"""The raw REPL of the unix port is what mpremote takes for a board: files, programs, resets, Ctrl-C, watchdog."""

import contextlib
import subprocess
import time

import pytest

from host_tests.board_rig import ESP32, RP2, Device, read_image
from host_tests.conftest import ROOT

MAIN = "print('main runs')\nimport time\nwhile True: time.sleep(1)\n"


@pytest.fixture(params=["pty", "tcp"])
def device(request, mpy, tmp_path):
    with contextlib.closing(Device(mpy, tmp_path, tcp=request.param == "tcp")) as made:
        yield made


def mpremote(device, *args):
    done = subprocess.run([ROOT / ".venv/bin/mpremote", "connect", device.place, *map(str, args)],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_mpremote_works_with_it(device, mpy, tmp_path):
    (tmp_path / "main.py").write_text(MAIN)
    big = bytes(range(256)) * 40
    (tmp_path / "big").write_bytes(big)
    assert mpremote(device, "exec", "import sys; print(sys.platform, 6 * 7)") == (0, "rp2 42\n")
    assert mpremote(device, "exec", "1/0")[0] == 1
    assert mpremote(device, "fs", "cp", tmp_path / "big", ":/big")[0] == 0
    assert mpremote(device, "fs", "cp", tmp_path / "main.py", ":/main.py")[0] == 0
    assert b"main runs" not in device.said
    assert mpremote(device, "reset")[0] == 0
    device.wait_said(b"main runs")
    assert "big" in mpremote(device, "fs", "ls", ":/")[1]  # Ctrl-C interrupts main.py
    device.power_cut()
    files, free = read_image(mpy, device.image)
    assert files == {"/main.py": MAIN.encode(), "/big": big}
    assert free > 200


def test_a_watchdog_bites(device, mpy):
    before = len(device.events)
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([ROOT / ".venv/bin/mpremote", "connect", device.place, "exec",
                        "import machine, time; machine.WDT(timeout=1000); time.sleep(30)"],
                       capture_output=True, timeout=5)
    assert "watchdog" in device.events[before:]


def test_power_goes_in_the_midst_of_a_write(mpy, tmp_path):
    device = Device(mpy, tmp_path, board=ESP32)
    try:
        device.power_cut()
        device.cut_after = 5
        device.power_on()
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([ROOT / ".venv/bin/mpremote", "connect", device.place, "exec",
                            "for i in range(9):\n with open('f%d' % i, 'w') as f: f.write('x' * 600)"],
                           capture_output=True, timeout=4)
        assert device.events[-1] == "cut"
        device.plug()
        device.power_on()
        assert mpremote(device, "exec", "import sys; print(sys.platform)") == (0, "esp32\n")
    finally:
        device.close()


def test_the_cable_goes_and_comes(mpy, tmp_path):
    device = Device(mpy, tmp_path, board=RP2)
    try:
        device.unplug()
        time.sleep(0.1)
        assert mpremote(device, "exec", "1")[0] == 1
        device.plug()
        assert mpremote(device, "exec", "print(1)") == (0, "1\n")
    finally:
        device.close()
