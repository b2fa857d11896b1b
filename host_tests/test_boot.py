"""What a node makes of any configuration it finds, and of an application that does not work."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.flash.pack import Pack
from host_tests.conftest import ROOT, Port
from host_tests.device_rig import Device
from host_tests.meter_rig import NODE_ID, PLACE, listening
from host_tests.mqtt_rig import wait_for
from host_tests.property import examples
from size import compile_one, stage

CONFIG = {
    "id": NODE_ID,
    "topic": PLACE,
    "broker": {"host": "127.0.0.1", "port": 1},
    "measurement": {"idcode": 765},
    "source": {"kind": "synthetic", "grid": {"fs_hz": 1600}},
    "wifi": {"ssid": "net"},
}
SECRETS = {"wifi": {"password": "a password"}}
GOOD = json.dumps({**CONFIG, "status_s": 5}).encode(), json.dumps(SECRETS).encode()

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def changed(draw, whole):
    """JSON of `whole`, with one value or one key of it replaced."""
    top = json.loads(json.dumps(whole))
    part = top
    while True:
        key = draw(st.sampled_from(sorted(part)))
        if not isinstance(part[key], dict) or not part[key] or draw(st.booleans()):
            break
        part = part[key]
    what = draw(st.sampled_from(["value", "key", "gone"]))
    value = part.pop(key)
    if what != "gone":
        part[draw(st.text(max_size=8)) if what == "key" else key] = draw(anything) if what == "value" else value
    return json.dumps(top).encode()


@st.composite
def torn(draw, whole):
    data = json.dumps(whole).encode()
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + draw(st.sampled_from([b"", b"\0", b"\xff" * 100, data[at + 1:], data]))


def found_for(whole):
    nested = st.integers(1, 6000).map(lambda n: b"[" * n)
    return st.binary(max_size=300) | changed(whole) | torn(whole) | nested | st.just(json.dumps(whole).encode())


@pytest.fixture(scope="module", params=["micropython", "micropython32"])
def starter(request, tmp_path_factory):
    """`starter(config, secrets)`: what a start comes to, beside a good pair."""
    folder = tmp_path_factory.mktemp("node")
    mpy = Port(request.param)
    argv = mpy.command("host_tests/mpy/boot_again.py", folder, heapsize="2M")
    process = subprocess.Popen(
        argv, env=mpy.environment(), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def start(config, secrets):
        for name, data in zip(("config.good", "secrets.good"), GOOD, strict=True):
            (folder / name).write_bytes(data)
        process.stdin.write(f"x{config.hex()} x{secrets.hex()}\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        answer["good"] = tuple(bytes.fromhex(text) for text in answer["good"])
        return answer

    yield start
    process.stdin.close()
    process.wait(10)


@given(config=found_for(CONFIG), secrets=found_for(SECRETS))
@examples(150)
def test_no_bytes_prevent_a_start_or_spoil_the_good_pair(starter, config, secrets):
    answer = starter(config, secrets)
    if answer["config"] == "given":
        assert answer["good"] == (config, secrets) and not answer["why"]
    else:
        assert answer["config"] == "good" and answer["why"] and answer["good"] == GOOD
        assert "a password" not in answer["why"]


def test_no_configuration_that_was_cut_off_is_used(starter):
    pair = json.dumps({**CONFIG, "wifi": {"ssid": "}\\\"{["}}).encode(), json.dumps(SECRETS).encode()
    assert starter(*pair)["config"] == "given"
    for i in range(2):
        for n in range(0, len(pair[i]), 1 + i):
            torn = [pair[0], pair[1]]
            torn[i] = pair[i][:n]
            assert starter(*torn)["config"] == "good", torn[i]


def test_what_is_given_is_used(starter):
    pair = json.dumps(CONFIG).encode(), json.dumps(SECRETS).encode()
    assert starter(*pair) == {"config": "given", "why": "", "note": 0, "good": pair}
    for mistake, why in (({"outbox": {"slots": 64}}, "outbox.slots"), ({"source": {"kind": "adc"}}, "no ADC"),
                         ({"source": {"kind": "synthetic", "grid": {"fs_hz": float("inf")}}}, ""),
                         ({"broker": {**CONFIG["broker"], "ca": "/no/such.der"}}, "broker.ca")):
        answer = starter(json.dumps({**CONFIG, **mistake}).replace("Infinity", "1e999").encode(), pair[1])
        assert answer["config"] == "good" and why in answer["why"], answer


@pytest.fixture
def application(mpy, tmp_path):
    """`application(name, patch, harm, of)`: /app/NAME, in which `patch` stands at the end of the module `of` of the
    firmware; the one at the path `harm` is of another version of .mpy."""
    folder = tmp_path / "mpy"
    stage(folder, mpy.march)
    (tmp_path / "app").mkdir()

    def make(name, patch="", harm="", of="lamp"):
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.mpy"))}
        if patch:
            source = tmp_path / f"{of}.py"
            source.write_text((ROOT / f"firmware/{of}.py").read_text() + patch)
            compile_one(source, tmp_path / f"{of}.mpy", f"firmware/{of}.py", mpy.march)
            files[f"firmware/{of}.mpy"] = (tmp_path / f"{of}.mpy").read_bytes()
        if harm:
            body = files[harm]
            files[harm] = body[:1] + bytes([body[1] ^ 1]) + body[2:]
        (tmp_path / "app" / name).write_bytes(Pack(files).data)

    return make


def board(mpy, folder, broker):
    config = {**CONFIG, "broker": {"host": broker.host, "port": broker.port}, "status_s": 1,
              "outbox": {"folder": str(folder / "outbox")}}
    return Device(mpy, folder, config, SECRETS, path=[".frozen"], script="boards/main.py")


def test_an_application_that_crashes_leaves_it_to_the_other(mpy, mosquitto, tmp_path, application):
    application("a", "\nLamp.run = None\n")
    application("b")
    with listening(mosquitto) as heard, board(mpy, tmp_path, mosquitto) as device:
        status = heard.wait_status(60, state="online", stage="slot")
        assert status["app"].startswith("b:") and "crashes in a row" in status["why"]
        assert (tmp_path / "app/slot").read_bytes() == b"b" and device.lives == ["restart"] * 4
        wait_for(lambda: [event for event in heard.events if event["event"] == "slot"], "EVENT slot")
        device.power_cut()
        device.power_on()
        status = heard.wait_status(state="online", stage="normal", reset="power")
        assert status["app"].startswith("b:") and "why" not in status


@pytest.mark.parametrize(("harm", "module"), [
    ("gone", ""), ("cut", ""), ("no pack", ""), ("import", "firmware/device.mpy"),
    ("import", "boards/unix/board.mpy"), ("import", "firmware/boot.mpy"), ("import", "firmware/log.mpy"),
])
def test_an_application_that_does_not_start_leaves_it_to_the_other(
    mpy, mosquitto, tmp_path, application, harm, module
):
    application("b")
    data = (tmp_path / "app/b").read_bytes()
    if harm == "import":
        application("a", harm=module)
    elif harm != "gone":
        (tmp_path / "app/a").write_bytes({"cut": data[:-1], "no pack": b"x" * 100}[harm])
    (tmp_path / "app/slot").write_bytes(b"\xff\xff")
    with listening(mosquitto) as heard, board(mpy, tmp_path, mosquitto):
        status = heard.wait_status(40, state="online")
        assert status["app"].startswith("b:") and status["why"] == "application a does not start"


@pytest.mark.parametrize("module", ["lib/settings/schema", "firmware/wiring", "firmware/node", "firmware/ending"])
def test_a_module_that_does_not_load_is_no_broken_configuration(mpy, mosquitto, tmp_path, application, module):
    application("a", "\nLamp.run = None\n" if module == "firmware/ending" else "", f"{module}.mpy")
    application("b")
    with listening(mosquitto) as heard, board(mpy, tmp_path, mosquitto) as device:
        status = heard.wait_status(60, state="online")
        assert status["app"].startswith("b:") and status["stage"] == "slot"
        assert "configuration" not in status["why"] and device.lives == ["restart"] * 4


def test_an_application_that_never_comes_to_counting_leaves_it_to_the_other(mpy, mosquitto, tmp_path, application):
    application("a", "\nmend = None\n", of="lastgood")
    application("b")
    with listening(mosquitto) as heard, board(mpy, tmp_path, mosquitto) as device:
        status = heard.wait_status(60, state="online")
        assert status["app"].startswith("b:") and status["why"] == "application a does not start"
        assert device.lives == ["restart"] * 5


_MOUNT = """
import sys
place = {"__name__": "main"}
with open("boards/main.py") as file:
    exec(file.read(), place)
for line in sys.stdin:
    at, bit = line.split()
    with open(sys.argv[1], "r+b") as file:
        file.seek(int(at))
        was = file.read(1)
        file.seek(int(at))
        file.write(bytes([was[0] ^ 1 << int(bit)]))
        file.flush()
        try:
            place["Pack"](sys.argv[1])
            print("taken")
        except Exception as e:
            print("refused")
        file.seek(int(at))
        file.write(was)
"""


def test_no_pack_with_a_flipped_bit_is_taken(mpy, tmp_path):
    files = {f"firmware/part{i}.mpy": bytes([i + 1]) * 40 * (i + 1) for i in range(6)} | {"lib/x/y.mpy": b"M" * 700}
    data = Pack(files).data
    (tmp_path / "pack").write_bytes(data)
    (tmp_path / "mount.py").write_text(_MOUNT)
    flips = "".join(f"{at} {bit}\n" for at in range(len(data)) for bit in range(8))
    done = mpy(tmp_path / "mount.py", tmp_path / "pack", stdin=flips, timeout_s=120)
    assert done.stdout.split() == ["refused"] * 8 * len(data), done.stderr
    assert (tmp_path / "pack").read_bytes() == data
    head = len(Pack(files).head)
    old = data[:head - 4] + bytes(4) + data[head:]  # as the flash tool of before made it
    (tmp_path / "pack").write_bytes(old)
    flips = f"{len(old) - 1} 0\n"
    assert mpy(tmp_path / "mount.py", tmp_path / "pack", stdin=flips).stdout.split() == ["taken"]
