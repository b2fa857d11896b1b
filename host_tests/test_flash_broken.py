"""gridmote flash broken off, everywhere: the board starts, old application or new, and once more ends it."""

import contextlib
import os
import random
import re
import shutil
from binascii import crc32

import pytest

from gridmote.fault import Fault
from gridmote.flash.link import Broken, Link
from host_tests.board_rig import RP2, Device, read_image
from host_tests.conftest import Port
from host_tests.flash_rig import KEPT, PARTS, board_with, boots, flash, make_tree, put_files

NEW = 2


class Bench:
    """An image with application 1, copied for each attempt at application 2."""

    def __init__(self, port, folder, old):
        self.port, self.folder, self.tree = port, folder, folder / "tree"
        self._old = old
        if old:
            device = board_with(port, folder / "old", make_tree(folder / "tree"))
            device.close()
        self._attempts = 0
        make_tree(self.tree, NEW)

    @contextlib.contextmanager
    def board(self):
        """A Device before application 2 comes: with application 1, or empty."""
        self._attempts += 1
        folder = self.folder / str(self._attempts)
        folder.mkdir()
        if self._old:
            shutil.copy(self.folder / "old/flash.img", folder)
        with contextlib.closing(Device(self.port, folder, RP2)) as device:
            yield device
        shutil.rmtree(folder)

    def steps(self):
        """Bytes from the host at which each module begins to be copied, and at the end."""
        with self.board() as device:
            heard = []
            flash(device, self.tree, told=lambda *_: heard.append(device.heard))
            return [*heard, device.heard]

    def broken_at(self, n):
        """The cable goes after n bytes from the host; power off and on; then once more."""
        with self.board() as device:
            device.break_after = n
            with contextlib.suppress(Fault):
                flash(device, self.tree)
            device.break_after = None
            if device.gone:
                device.plug()
            self.ends_well(device)

    def cut_at(self, writes):
        """The power goes in that write to flash; False if all was done before."""
        with self.board() as device:
            device.power_cut()
            device.cut_after = writes
            device.power_on()
            with contextlib.suppress(Fault):
                flash(device, self.tree)
            happened = device.gone
            if happened:
                device.plug()
            self.ends_well(device)
            return happened

    def ends_well(self, device):
        """It starts with what it has, and flashed again with the new application."""
        version = boots(device)
        assert version in ((1, NEW) if self._old else (None, NEW))
        self.kept(device)
        if device.gone:  # only with the last words of the first attempt
            device.plug()
        device.power_on()
        flash(device, self.tree)
        assert boots(device) == NEW
        self.kept(device)

    def kept(self, device):
        """Outbox, configuration, keys and the files of others are as they were; the slot that runs is whole."""
        device.power_cut()
        files, _ = read_image(self.port, device.image)
        if self._old:
            assert {path: files.get(path) for path in KEPT} == KEPT


@pytest.fixture
def bench(mpy, tmp_path):
    return Bench(mpy, tmp_path, True)


def test_the_cable_goes_at_every_file(bench):
    steps = bench.steps()
    assert len(steps) > PARTS + 4
    for n in steps:
        bench.broken_at(n + 30)  # in the midst of what is said of it


def test_repeated_it_goes_on_where_it_was(bench):
    steps = bench.steps()
    with bench.board() as device:
        device.break_after = steps[-3]
        with pytest.raises(Broken):
            flash(device, bench.tree)
        device.plug()
        said = flash(device, bench.tree)
        assert int(re.search(r"(\d+) from last time", said)[1]) >= PARTS // 2
        assert boots(device) == NEW


def test_the_cable_goes_at_the_last_words(bench):
    end = bench.steps()[-1]
    for n in range(end - 900, end, 90):
        bench.broken_at(n)


def test_the_power_goes_in_the_midst_of_a_write(bench):
    writes = 1
    while bench.cut_at(writes):
        writes = writes * 3 // 2 + 1


def harm(device, slot, how):
    """The slot that should run cannot: "rotten" in a body, "gone", or of a .mpy version that does not load."""
    with contextlib.closing(Link(device.place)) as link:
        link.stop()
        if how == "gone":
            link.run(f"import os\nos.remove('/app/{slot}')")
            return
        data = bytearray(eval(link.run(f"print(open('/app/{slot}', 'rb').read())", 60)))
        if how == "rotten":
            data[-9] ^= 1
        else:
            n = int.from_bytes(data[8:12], "little")
            at = 12 + 12 * n
            data[at:] = data[at:].replace(b"M\x06", b"M\x05")
            crc = crc32(data[at:], crc32(data[12 : at - 4], crc32(data[:12])))
            data[at - 4 : at] = crc.to_bytes(4, "little")
        for i in range(0, len(data), 2048):
            part = bytes(data[i : i + 2048])
            link.run(f"with open('/app/{slot}', '{'ab' if i else 'wb'}') as f:\n f.write({part!r})")


@pytest.mark.parametrize("how", ["rotten", "gone", "does not load"])
def test_the_slot_that_runs_is_not_touched_whatever_should_run(mpy, tmp_path, how):
    with contextlib.closing(Device(mpy, tmp_path, RP2)) as device:
        tree = make_tree(tmp_path / "tree", 1)
        flash(device, tree)
        flash(device, make_tree(tree, 2))
        assert boots(device) == 2
        harm(device, "b", how)
        assert boots(device) == 1
        make_tree(tree, 3)
        for part in (3000, 9000, 15000):
            device.break_after = device.heard + part
            with pytest.raises(Broken):
                flash(device, tree)
            device.plug()
            assert boots(device) == 1
        flash(device, tree)
        assert boots(device) == 3
        device.power_cut()
        files, _ = read_image(mpy, device.image)
        assert files["/app/slot"] == b"b" and len(files) == 4


def test_a_half_written_slot_is_none(bench):
    """Also where the new pack has the head of the old one."""
    n = bench.steps()[-4]
    with bench.board() as device:
        flash(device, bench.tree)
        make_tree(bench.tree, NEW + 1)  # one digit: as long as the one in the slot
        device.break_after = device.heard + n
        with pytest.raises(Broken):
            flash(device, bench.tree)
        device.plug()
        put_files(device, {"/app/slot": b"a"})
        assert boots(device) == NEW
        assert "from last time" in flash(device, bench.tree) and boots(device) == NEW + 1


def test_an_empty_board_whose_cable_goes(mpy, tmp_path):
    bench = Bench(mpy, tmp_path, False)
    for n in bench.steps()[::3]:
        bench.broken_at(n)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(6))
def test_the_cable_goes_at_every_few_bytes(part, mpy, tmp_path):
    bench = Bench(mpy, tmp_path, True)
    end = bench.steps()[-1]
    for n in range(1 + 61 * part, end, 61 * 6):
        bench.broken_at(n)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(4))
def test_the_power_goes_at_every_write(part, mpy, tmp_path):
    bench = Bench(mpy, tmp_path, True)
    writes = 1 + part
    while bench.cut_at(writes):
        writes += 4


@pytest.mark.torture
def test_broken_again_and_again(tmp_path):
    dice = random.Random(os.environ.get("GRIDMOTE_SEED", "0"))
    bench = Bench(Port("micropython32"), tmp_path, True)
    end = bench.steps()[-1]
    for _ in range(3):
        with bench.board() as device:
            for _ in range(10):
                if dice.random() < 0.5:
                    device.break_after = device.heard + dice.randrange(end)
                else:
                    device.power_cut()
                    device.cut_after = dice.randrange(1, 200)
                    device.power_on()
                with contextlib.suppress(Fault):
                    flash(device, bench.tree)
                device.break_after = None
                if device.gone:
                    device.plug()
                assert boots(device) in (1, NEW)
            bench.ends_well(device)
