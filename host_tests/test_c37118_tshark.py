"""What the codec writes, read by an independent decoder (tshark), and the values compared."""

import cmath
import math

import pytest

from c37118.command import Command, HeaderText
from c37118.config import CURRENT, VOLTAGE, Config, PmuConfig
from c37118.data import Data, PmuData
from c37118.frame import CFG1, CFG2

SOC = 1_700_000_000
VOLTS, AMPS = cmath.rect(132_790.0, -2.0944), cmath.rect(-412.5, 0.1)
LABELS = ["BREAKER %d" % i for i in range(16)]


def pmu(fmt, idcode, fnom=1):
    return PmuConfig(
        f"STATION {fmt}", idcode, fmt,
        [("V1", VOLTAGE, 915527), ("I1", CURRENT, 45776), ("GONE", VOLTAGE, 1)],
        [("POWER", 1, 1), ("USER", 65, -3)], [(LABELS, 0x0F0F, 0xFFFF)], fnom, 5,
    )  # fmt: skip


def block(config, tilt=0.0):
    frequency_hz = config.f0_hz + 0.0126 + tilt
    return PmuData.measured(config, 0x21C0, [VOLTS, AMPS, None], frequency_hz, -1.237, [120, -9], [0xBEEF])


def compare(told, config, tilt=0.0):
    """One PMU of tshark's report against what went in."""
    assert told["station"].rstrip() == config.stn
    assert told["stat"]["pmu_tq"] == 7 and told["stat"]["pmu_sync_error_bit13"] is True
    count_v, count_a = config.phasors[0][2] * 1e-5, config.phasors[1][2] * 1e-5
    sent = ((VOLTS, count_v, "V"), (AMPS, count_a, "A"))
    for phasor, (value, count, unit) in zip(told["phasors"], sent, strict=False):
        got = cmath.rect(phasor["mag"], math.radians(phasor["angle_deg"]))
        step = count * 0.71 + abs(value) * 5e-5 if config.fmt & 2 == 0 else abs(value) * 1e-5
        assert phasor["unit"] == unit and abs(got - value) < step + 0.002
    if config.phasors_float:
        assert told["phasors"][2]["float"] == ["nan", "nan"]
    else:
        assert told["phasors"][2]["s16_s16"] == [0 if config.polar else -0x8000, -0x8000]
    near = 6e-6 if config.freq_float else 6e-4
    assert told["freq_hz"] == pytest.approx(config.f0_hz + 0.0126 + tilt, abs=near)
    assert told["rocof_hz_s"] == pytest.approx(-1.237 if config.freq_float else -1.24, abs=1e-6)
    assert [a.get("float", a.get("int16")) for a in told["analogs"]] == (
        [120, -9] if config.analogs_float else [120, 3])
    assert told["digitals"] == [0xBEEF]


@pytest.fixture(scope="module")
def verdicts(check_frames):
    """{tag: tshark's verdict} of every kind of frame and every FORMAT, in one run."""
    sent = {"header": HeaderText(900, "Gridmote, station 7", SOC)}
    for cmd in (1, 2, 3, 4, 5, 6):
        sent[f"cmd{cmd}"] = Command(900, cmd, b"", SOC)
    sent["cmd8"] = Command(900, 8, b"\x01\x02\xff", SOC)
    sent["user"] = Command(900, 0x0123, b"", SOC)
    frames = {tag: frame.encode() for tag, frame in sent.items()}
    for fmt in range(16):
        idcode = 1000 + fmt
        for kind, name in ((CFG1, "cfg1"), (CFG2, "cfg2")):
            config = Config(idcode, [pmu(fmt, idcode, fmt & 1)], 50, kind, soc=SOC)
            frames[f"{name}-{fmt}"] = config.encode()
        data = Data(idcode, SOC, 0x0B, 20_000, [block(config.pmus[0])])
        frames[f"data-{fmt}"] = data.encode(config)
    several = Config(2000, [pmu(fmt, 2001 + fmt) for fmt in (0, 7, 9, 15)], -2, time_base=0xFFFFFF, soc=SOC)
    frames["several"] = several.encode()
    blocks = [block(config, i / 8) for i, config in enumerate(several.pmus)]
    frames["data-several"] = Data(2000, SOC, 0x7B, 0xFFFFFE, blocks).encode(several)
    told = check_frames([f"{tag}: {raw.hex()}" for tag, raw in frames.items()])
    return {verdict["tag"]: verdict for verdict in told}


def test_every_frame_without_a_complaint(verdicts):
    assert len(verdicts) == 9 + 3 * 16 + 2
    assert [(tag, v["undecoded"], v["lint"]) for tag, v in verdicts.items() if not v["ok"]] == []


@pytest.mark.parametrize("fmt", range(16))
def test_data_of_every_format(verdicts, fmt):
    told = verdicts[f"data-{fmt}"]["tshark"]
    assert (told["soc"], told["fracsec_raw"], told["idcode"]) == (SOC, 20_000, 1000 + fmt)
    compare(told["blocks"][0], pmu(fmt, 1000 + fmt, fmt & 1))


@pytest.mark.parametrize("fmt", range(16))
@pytest.mark.parametrize("name", ["cfg1", "cfg2"])
def test_configurations(verdicts, fmt, name):
    told = verdicts[f"{name}-{fmt}"]["tshark"]
    assert (told["type"], told["time_base"], told["data_rate"], told["num_pmu"]) == (name, 1_000_000, 50, 1)
    (station,) = told["stations"]
    assert (station["name"].rstrip(), station["idcode"]) == (f"STATION {fmt}", 1000 + fmt)
    assert station["cfgcnt"] == 5
    assert station["fnom_hz"] == (50 if fmt & 1 else 60)
    assert int(station["format_raw"], 16) == fmt
    names = station["phasor_names"] + station["analog_names"] + station["digital_names"]
    assert [name.rstrip() for name in names] == ["V1", "I1", "GONE", "POWER", "USER", *LABELS]
    assert [unit[:2] for unit in station["phunit"]] == [[915527, "V"], [45776, "A"], [1, "V"]]
    assert [unit[:2] for unit in station["anunit"]] == [[1, 1], [65, -3]]
    assert station["digunit"] == [[0x0F0F, 0xFFFF]]


def test_several_pmus_in_a_frame(verdicts):
    told = verdicts["several"]["tshark"]
    assert (told["num_pmu"], told["time_base"], told["data_rate"]) == (4, 0xFFFFFF, -2)
    told = verdicts["data-several"]["tshark"]
    leap = {"leap_dir_bit6": True, "leap_occurred_bit5": True, "leap_pending_bit4": True}
    assert told["time_quality"] == {**leap, "msg_tq": 11}
    for i, fmt in enumerate((0, 7, 9, 15)):
        compare(told["blocks"][i], pmu(fmt, 2001 + fmt), i / 8)


def test_commands_and_header(verdicts):
    for cmd in (1, 2, 3, 4, 5, 6):
        assert verdicts[f"cmd{cmd}"]["tshark"]["command"][0] == cmd
    assert verdicts["cmd8"]["tshark"]["extended"] == "0102ff"
    assert verdicts["user"]["tshark"]["command"][0] == 0x0123
    assert verdicts["header"]["tshark"]["type"] == "header" and verdicts["header"]["bytes"] == 16 + 19
