"""Every name that a board's code uses of MicroPython is in the type stubs of its port, version 1.25."""

from pathlib import Path

import pytest

from host_tests.stubs import Checker, Stubs

ROOT = Path(__file__).resolve().parent.parent
STUBS = ROOT / ".deps/stubs"


@pytest.fixture(scope="module", params=["rp2", "esp32"])
def port(request):
    return request.param, Stubs(STUBS, request.param)


def test_boards_use_what_there_is(port):
    name, stubs = port
    found, uses = [], 0
    for path in sorted([*(ROOT / "boards").glob("*.py"), *(ROOT / "boards" / name).glob("*.py")]):
        checker = Checker(stubs, path.relative_to(ROOT).as_posix())
        found += checker.check(path.read_text())
        uses += checker.uses
    assert not found, "\n".join(found)
    assert uses > 40, f"the checker saw {uses} uses only"


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import machine\nmachine.restart()", "machine has no restart"),
        ("import machine\nmachine.Pin.OUTPUT", "machine.Pin has no OUTPUT"),
        ("import machine\ndef f():\n    pin = machine.Pin(1)\n    pin.set(1)", "machine.Pin has no set"),
        ("import machine\nmachine.Pin(1, direction=1)", "machine.Pin() takes no direction"),
        ("import machine\nmachine.WDT(milliseconds=1)", "machine.WDT() takes no milliseconds"),
        ("from machine import Clock", "machine has no Clock"),
        ("import machine\nmachine.RTC().now_is()", "machine.RTC has no now_is"),
        ("class A:\n    def b(self):\n        self._w.bite()\n    def __init__(self):\n        import machine\n"
         "        self._w = machine.WDT()", "machine.WDT has no bite"),
        ("class A:\n    def __init__(self, network):\n        self._n = network\n        network.WLAN(0).status()\n"
         "        self._n.STA", "network has no STA"),
        ("import machine\na, b = machine.Pin(1), machine.Pin(2)\nfor p in (a, b):\n    p.on()\n    p.flip()",
         "machine.Pin has no flip"),
    ],
)  # fmt: skip
def test_what_there_is_not_is_found(port, source, wrong):
    (line,) = Checker(port[1], "board.py").check(source)
    assert line.endswith(wrong), line


def test_of_one_port_only():
    rp2, esp32 = Stubs(STUBS, "rp2"), Stubs(STUBS, "esp32")
    sources = {
        "rp2": "import rp2\nd = rp2.DMA()\nd.count\nd.cunt",
        "esp32": "import machine\nimport esp32\nmachine.RTC().memory(b'')\nesp32.NVS('a').get_blobb('b')",
    }
    assert Checker(rp2, "x").check(sources["rp2"]) == ["x:4: rp2.DMA has no cunt"]
    assert Checker(esp32, "x").check(sources["esp32"]) == ["x:4: esp32.NVS has no get_blobb"]
    assert Checker(rp2, "x").check(sources["esp32"])[0] == "x:3: machine.RTC has no memory"
