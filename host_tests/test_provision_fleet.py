"""`gridmote provision --fleet`: every row right or nothing written, and mistakes with line and column."""

import csv
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.fault import Fault
from gridmote.node import config as node_config
from gridmote.provision.authority import Authority
from gridmote.provision.folder import FolderPlace
from gridmote.provision.layout import read_set
from gridmote.provision.passwords import Passwords
from gridmote.provision.run import Run, Wishes
from host_tests.property import examples
from host_tests.provision_rig import WIFI, Workplace
from host_tests.test_mqtt_tls import Authority as BrokerAuthority

HEAD = "id,measurement.idcode,topic.location_id,wifi.ssid,broker.fallback"
GOOD = f"""{HEAD}
a1,1,1156,Lab,b1:1883 b2
a2,2,1156,"Lab, upstairs",

a3,3,1157,,
"""


@pytest.fixture
def work(tmp_path):
    return Workplace(tmp_path)


def fleet(work, text, *args, status=0, encoding="utf-8", **options):
    (work.folder / "fleet.csv").write_text(text, encoding=encoding)
    return work.run("all", "--fleet", "fleet.csv", "--config", "meter.json", *args, status=status, **options)


def test_many(work):
    ca = BrokerAuthority(work.folder, "broker").pem
    done = fleet(work, GOOD, "--ca", ca)
    for name, place in (("a1", "1156"), ("a2", "1156"), ("a3", "1157")):
        _, full = node_config.read(work.folder / "all" / name)
        assert full["id"] == name and full["topic"]["location_id"] == place
        assert f"here/station/{place}" in done.stdout and f"CN {name}," in done.stdout
        assert full["wifi"]["password"] == (WIFI if name != "a3" else "")
    one, two, three = (read_set(FolderPlace(work.folder / "all" / name)) for name in ("a1", "a2", "a3"))
    assert one.config["broker"]["fallback"] == [{"host": "b1", "port": 1883}, {"host": "b2", "port": 1883}]
    assert two.config["wifi"]["ssid"] == "Lab, upstairs"
    segment = [node.secrets["gossip"]["segment_key"] for node in (one, two, three)]
    assert segment[0] == segment[1] != segment[2] and len({node.key_file("key") for node in (one, two, three)}) == 3
    before = work.files("all")
    assert fleet(work, GOOD, "--ca", ca, wifi=None).stdout.count("as it was") == 3 and work.files("all") == before
    more = GOOD + "a4,4,1157,,\n"
    assert fleet(work, more, "--ca", ca).stdout.count("as it was") == 3
    after = work.files("all")
    assert {name: data for name, data in after.items() if not name.startswith("a4")} == before


def test_as_a_spreadsheet_writes_it(work):
    text = GOOD.replace(",", ";").replace("Lab; upstairs", "Lab, upstairs").replace("\n", "\r\n")
    fleet(work, text, encoding="utf-8-sig")
    assert work.node("all/a2")[0]["wifi"]["ssid"] == "Lab, upstairs"


MISTAKES = {
    "a key that is none": (GOOD.replace("wifi.ssid", "wifi.sid"), ":1:4: wifi.sid: unknown"),
    "a section": (GOOD.replace("wifi.ssid", "wifi"), ":1:4: wifi: a section"),
    "a column twice": (GOOD.replace("wifi.ssid", "id"), ":1:4: id: also column 1"),
    "a cell too few": (GOOD.replace("a1,1,1156,Lab,", "a1,1,1156,"), ":2:5: 4 cells, but the header has 5"),
    "a cell too many": (GOOD.replace("a3,3,", "a3,3,3,"), ":5:6: 6 cells, but the header has 5"),
    "no number": (GOOD.replace("a2,2", "a2,two"), ":3:2: measurement.idcode: must be"),
    "a bad level": (GOOD.replace("a3,3,1157", "a3,3,11/57"), ":5:3: topic.location_id: must be"),
    "a bad broker": (GOOD.replace("b2", "b2:0"), ":2:5: broker.fallback: broker"),
    "an id twice": (GOOD.replace("a3", "a1"), ":5:1: id a1: also in line 2"),
    "an IDCODE twice": (GOOD.replace("a3,3", "a3,1"), ":5:2: measurement.idcode 1: also in line 2"),
    "a topic twice": (GOOD.replace("a2,2", "a1,2"), ":3:3: topic here/station/1156/a1: also in line 2"),
    "no id": (GOOD.replace("a3,", ","), None),
    "an id that leads out": (GOOD.replace("a3,", "..,"), ":5:1: id: must not begin with a dot"),
    "a quote that does not end": (GOOD.replace('upstairs"', "upstairs"), ":3:1: unexpected end of data"),
    "nothing": ("", "no nodes in it"),
    "only a header": (HEAD + "\n", "no nodes in it"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_has_its_place_and_nothing_is_written(work, what):
    text, words = MISTAKES[what]
    if words is None:  # the id of meter.json, three times
        text, words = text.replace("a1,", ",").replace("a2,", ","), ":3:1: id m1: also in line 2"
    done = fleet(work, text, status=1)
    assert words in done.stderr and done.stdout == ""
    assert not (work.folder / "all").exists() and not (work.folder / "fleet-keys").exists()


def test_all_mistakes_at_once_in_their_order(work):
    text = f"{HEAD}\na1,x,1156,Lab,\na2,2,1156\na1,1,/,Lab,\n"
    lines = fleet(work, text, status=1).stderr.splitlines()
    assert [line.split(":")[2:4] for line in lines] == [["2", "2"], ["3", "4"], ["4", "3"]]


def test_passwords_in_a_table_are_never_shown(work):
    word, short = "table-word-99", "sh0rt"
    work.secrets.update((word, short))
    head = HEAD + ",wifi.password,broker.user,broker.password"
    good = f"{head}\na1,1,1156,Lab,,{word},u,{word}2\na2,2,1156,Lab,,,,\n"
    work.secrets.add(word + "2")
    fleet(work, good)
    assert work.node("all/a1")[1]["wifi"]["password"] == word and work.node("all/a2")[1]["wifi"]["password"] == WIFI
    assert word not in (work.folder / "all/a1/config.json").read_text()
    assert ":2:6: wifi.password: must be" in fleet(work, good.replace(f",{word},u", f",{short},u"), status=1).stderr
    for shifted in (f"a1,{word},1156,Lab,,,,", f"a1,1,{word}/,Lab,,,,", f"a1,1,1156,Lab,{word}:x,,,",
                    f"{word} x,1,1156,Lab,,,,"):
        assert fleet(work, f"{head}\n{shifted}\n", status=1).stderr.startswith("gridmote provision: fleet.csv:2:")


def test_another_node_in_a_folder_stops_all(work):
    fleet(work, GOOD)
    before = work.files("all")
    (work.folder / "all/a3").rename(work.folder / "all/a4")
    done = fleet(work, GOOD + "a4,4,1157,,\n", status=1)
    assert "all/a4: is node a3, not a4" in done.stderr
    assert {name.replace("a4/", "a3/"): data for name, data in work.files("all").items()} == before


CELL = st.text("abc019.,;\"'\n\r -_:/[]{}é", max_size=8)


@examples(150)
@given(rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=4))
def test_any_table_is_taken_or_named(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    Workplace(folder)
    text = io.StringIO()
    csv.writer(text).writerows([["id", "measurement.idcode", "measurement.station"], *rows])
    (folder / "fleet.csv").write_text(text.getvalue(), newline="", encoding="utf-8")
    run = Run(Authority(folder / "keys", None), Passwords({}))
    try:
        found = run.fleet(folder / "fleet.csv", folder / "all", folder / "meter.json", Wishes())
    except Fault as fault:
        assert all("fleet.csv" in line for line in str(fault).splitlines()), fault
        assert not (folder / "all").exists()
        return
    assert sorted(path.name for path in (folder / "all").iterdir()) == sorted(one.plan.id for one in found)
    for one in found:
        node_config.read(folder / "all" / one.plan.id)


def test_roles_that_measure_nothing_and_their_numbers(work):
    head = "id,role,broker.host,measurement.idcode,source.kind,gossip.number,topic.location_id"
    rows = ["heater,ied,,,,,1", "car,ied,,,,4711,1", "ssc,ssc,hub,,,4712,1", "home,meter,hub,7,synthetic,,1",
            "far,ied,,,,4711,2"]  # another segment
    base = {"topic": {"area": "here", "location_type": "station"}}
    (work.folder / "meter.json").write_text(json.dumps(base))

    def table(*rows):
        return "\n".join([head, *rows]) + "\n"

    done = fleet(work, table(*rows))
    assert done.stdout.count("none") >= 6
    numbers = [node_config.read(work.folder / "all" / row.split(",")[0])[1]["gossip"]["number"] for row in rows]
    assert numbers[1:3] == [4711, 4712] and numbers[4] == 4711 and len(set(numbers)) == 4
    assert numbers[0] == int.from_bytes(hashlib.sha256(b"heater").digest()[:4], "big") >> 2
    twice = fleet(work, table(*rows, "bike,ied,,,,4712,1"), status=1).stderr
    assert ":7:6: gossip.number 4712 in here/station/1: also in line 4" in twice
    later = fleet(work, table("bike,ied,,,,4712,1"), status=1).stderr
    assert "gossip.number: 4712 is that of ssc" in later and not (work.folder / "all/bike").exists()
    assert "gossip.number: must be" in fleet(work, table("bike,ied,,,,15,1"), status=1).stderr
    wrong = fleet(work, table("bike,ied,hub,9,synthetic,,1", "van,meter,hub,9,,,1"), status=1).stderr
    assert ":2:4: measurement: the role ied" in wrong or ":2:1: measurement: the role ied" in wrong
    assert "source: missing" in wrong
