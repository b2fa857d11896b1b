"""An archive with a rotten page, cut short, or none at all: one line with its name and what to do, everywhere."""

import sqlite3
import subprocess
from contextlib import closing

import pytest
from typer.testing import CliRunner

from gridmote.archive.store import Archive, Entry
from gridmote.cli import app
from host_tests.pdc_rig import WAIT_S, Pmu

TOPIC = "area/secondary-station/1/PMU/7"
PMU = Pmu()
PAGE = 4096
NEXT = "`sqlite3 %s .recover | sqlite3 NEW` saves what can be read"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.sqlite"
    with closing(Archive(path)) as made:
        made.store([Entry(TOPIC, 1, [PMU.cfg2, *map(PMU.frame, range(1000))])])
    return path


def rot(path, page):
    content = bytearray(path.read_bytes())
    content[page * PAGE:(page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)


def root_of(path, table):
    """The page, from 0, at which a table begins."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0] - 1


@pytest.mark.parametrize("command", ["gaps", "export"])
def test_whichever_page_is_rotten(archive, command):
    """Page by page, as nothing reads the last tables without need: an answer, or the line."""
    whole = archive.read_bytes()
    refused = 0
    for page in range(len(whole) // PAGE):
        archive.write_bytes(whole)
        rot(archive, page)
        done = CliRunner().invoke(app, [command, str(archive)])
        if done.exit_code == 0:
            continue
        line, = done.stderr.splitlines()
        refused += 1
        assert line.startswith(f"gridmote {command}: archive {archive}: "), line
        assert (NEXT % archive if page else "its beginning is damaged: go back to a copy") in line
        assert page == 0 or f"{archive}-wal" in line
    assert refused > len(whole) // PAGE // 2


def test_what_is_no_archive(tmp_path):
    text = tmp_path / "text"
    text.write_text("nothing that SQLite knows " * 50)
    for command in ("gaps", "export", "pdc --archive"):
        done = CliRunner().invoke(app, [*command.split(), str(text)])
        line, = done.stderr.splitlines()
        assert done.exit_code == 1 and str(text) in line
        assert "name the SQLite file that `gridmote pdc --archive` wrote" in line


def test_the_adapter_ends_where_it_cannot_read_its_ports(run_adapter, archive):
    rot(archive, root_of(archive, "ports"))
    adapter = run_adapter("--port", "4712", "--archive", archive, stderr=subprocess.PIPE)
    assert adapter.process.wait(WAIT_S) == 1 and not adapter.events
    line, = adapter.process.stderr.read().splitlines()
    assert line.startswith(f"gridmote pdc: archive {archive}: ") and NEXT % archive in line


def test_the_adapter_tells_that_it_cannot_store(run_adapter, publisher, archive):
    rot(archive, root_of(archive, "frames"))
    adapter = run_adapter("--archive", archive)
    adapter.wait_for("broker_found")
    publisher.publish(TOPIC, PMU.cfg2)
    publisher.publish(TOPIC, PMU.frame(1000))
    publisher.flush()
    told = adapter.wait_for("archive_trouble")["reason"]
    assert str(archive) in told and NEXT % archive in told
    assert adapter.stop()["archived"] == 0
