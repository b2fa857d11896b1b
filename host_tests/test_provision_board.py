"""`gridmote provision --port` onto a board behind a pseudo-terminal, with cables and power that fail on the way."""

import contextlib
import json

import pytest

from gridmote.fault import Fault
from gridmote.flash.identity import Identity
from gridmote.flash.stopped import stopped
from gridmote.provision.authority import Authority
from gridmote.provision.layout import encode, read_set
from gridmote.provision.passwords import Passwords
from gridmote.provision.run import Run, Wishes
from host_tests.board_rig import RP2, Device, read_image
from host_tests.provision_rig import WIFI, Workplace
from host_tests.test_mqtt_tls import Authority as BrokerAuthority
from settings.schema import check


@pytest.fixture
def device(mpy, tmp_path):
    made = Device(mpy, tmp_path)
    settled(made)
    yield made
    made.close()


@pytest.fixture
def work(tmp_path):
    return Workplace(tmp_path)


class Onto:
    """Runs of provision onto the device, without the start of a program for each."""

    def __init__(self, device, folder, word):
        self._device, self._folder = device, folder
        self.ca = BrokerAuthority(folder, "broker").pem
        (folder / "word").write_text(word)
        self._passwords = Passwords({"wifi.password": folder / "word"})

    def go(self, rate, wifi="Lab"):
        wishes = Wishes(wifi=wifi, ca=self.ca, settings=(f"measurement.rate={rate}",))
        with stopped(self._device.place) as place:
            run = Run(Authority(self._folder / "keys", None), self._passwords)
            return run.one(place, self._folder / "meter.json", wishes, on_board=True)


def settled(device):
    """Wait until the board has started, once for each start."""
    device.wait_said(rb">>> $")
    device.said.clear()


class Image:
    """What is in the flash of a device that is off, as a place to read."""

    def __init__(self, port, path):
        self.files, _ = read_image(port, path)

    def read(self, name):
        return self.files.get(f"/node/{name}")

    def path(self, name):
        return f"/node/{name}"


def test_onto_a_board_and_again(mpy, device, work):
    ca = BrokerAuthority(work.folder, "broker").pem
    assert "no node there yet" in work.run("--port", device.place, status=1).stderr
    told = work.run("--port", device.place, "--config", "meter.json", "--wifi", "Lab", "--ca", ca)
    assert "made, CN m1" in told.stdout and "written" in told.stdout
    told = work.run("--port", device.place, "--set", "measurement.rate=25", wifi=None)
    assert "kept, CN m1" in told.stdout
    assert "as it was" in work.run("--port", device.place, wifi=None).stdout
    device.power_cut()
    image = Image(mpy, device.image)
    found = read_set(image)
    full = check(found.merged)
    assert full["measurement"]["rate"] == 25 and full["wifi"]["password"] == WIFI and len(found.keys) == 3
    assert json.loads(image.read("config.good")).get("measurement") == {"idcode": 765}
    assert sorted(image.files) == sorted(
        [f"/node/{name}" for name in ("config.json", "config.good", "secrets.json", "secrets.good", *found.keys)])


def test_a_folder_is_flashed_as_it_is(mpy, device, work):
    ca = BrokerAuthority(work.folder, "broker").pem
    work.run("m1", "--config", "meter.json", "--wifi", "Lab", "--ca", ca)
    identity = Identity(node=work.folder / "m1")
    with stopped(device.place) as place:
        identity.examine(place._link)
        identity.install(place._link)
    device.power_cut()
    files = Image(mpy, device.image).files
    assert {name.removeprefix("/node/"): data for name, data in files.items()} == work.files()


def test_nobody_there_and_what_no_board_takes(work, device):
    told = work.run("--port", str(work.folder / "none"), "--config", "meter.json", status=1).stderr
    assert "no such port; is the board plugged in? --port auto looks for it" in told
    (work.folder / "meter.json").write_text((work.folder / "meter.json").read_text().replace(
        '"synthetic"', '"replay", "file": "x.cfg"'))
    assert "replay is for" in work.run("--port", device.place, "--config", "meter.json", status=1).stderr


def test_a_pico_without_network(mpy, tmp_path, work):
    with contextlib.closing(Device(mpy, tmp_path, {**RP2, "network": False})) as plain:
        settled(plain)
        assert "a Pico needs its W" in work.run("--port", plain.place, "--config", "meter.json", status=1).stderr
        plain.power_cut()
        assert not Image(mpy, plain.image).files


def test_what_no_json_is_on_a_board_is_told_and_replaced(mpy, device, work):
    work.run("--port", device.place, "--config", "meter.json", "--wifi", "Lab")
    settled(device)
    with stopped(device.place) as place:
        place.write("config.json", b"{broken")
    settled(device)
    told = work.run("--port", device.place, status=1).stderr
    assert f"/node/config.json of {device.place}:1:2: not JSON" in told and "--config FILE replaces it" in told
    settled(device)
    work.run("--port", device.place, "--config", "meter.json", "--wifi", "Lab")
    device.power_cut()
    assert read_set(Image(mpy, device.image)).config["id"] == "m1"


def test_a_board_runs_while_the_password_is_typed(device, work):
    work.run("--port", device.place, "--config", "meter.json")
    settled(device)
    status, seen = work.at_terminal("--port", device.place, "--wifi", "Lab", answers=[WIFI, WIFI],
                                    before=lambda: settled(device))
    assert status == 0 and "written" in seen, seen


def test_a_broken_line_is_told_with_what_to_do(device, work):
    device.break_after = device.heard + 2000
    told = work.run("--port", device.place, "--config", "meter.json", status=1).stderr
    assert "the line broke" in told and "Plug it in and repeat the same command" in told, told


@pytest.mark.parametrize("what, part", [
    ("cable", 0.4), ("cable", 0.6), ("cable", 0.8), ("cable", 0.9), ("cable", 0.95),
    ("power", 4), ("power", 9), ("power", 13), ("power", 16), ("power", 18), ("power", 20), ("power", 22)])
@pytest.mark.parametrize("mpy", ["micropython32"], indirect=True)
def test_cut_on_the_way(mpy, tmp_path, work, what, part):
    """part: of the bytes to the board for a cable, of about 22 writes to flash for the power."""
    device = Device(mpy, tmp_path)
    try:
        settled(device)
        onto = Onto(device, tmp_path, WIFI)
        old = onto.go(50).made.node_set
        settled(device)
        bytes_of_a_run = device.heard
        onto = Onto(device, tmp_path, WIFI + "2")  # another CA and another password: everything changes
        if what == "cable":
            device.break_after = device.heard + int(bytes_of_a_run * part)
        else:
            device.power_cut()
            device.cut_after = part
            device.power_on()
            settled(device)
        cut = False
        try:
            onto.go(25)
        except Fault as fault:
            cut = True
            assert "broke" in str(fault) or "whole" in str(fault), fault
            assert WIFI not in str(fault)
        device.power_cut()
        found = read_set(Image(mpy, device.image))
        assert found == old or found.secrets["wifi"]["password"] == WIFI + "2" and len(found.keys) == 3
        assert cut or found != old
        if what == "cable" or device.events[-2] == "cut":
            device.plug()
        device.power_on()
        settled(device)
        end = onto.go(25).made.node_set
        device.power_cut()
        assert read_set(Image(mpy, device.image)) == end
        assert Image(mpy, device.image).read("config.good") == encode(old.config)
        print(what, part, "cut" if cut else "went through")
    finally:
        device.close()
