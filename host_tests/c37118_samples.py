"""C37.118.2 frames made byte by byte from the tables of the standard, without the codec under test."""

import struct

from hypothesis import strategies as st


def crc_bitwise(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def frame(kind, body, idcode=7, soc=1_700_000_000, stamp=0, version=1, reserved=0):
    """A whole frame: any body; stamp is TQ and FRACSEC together."""
    sync = reserved << 7 | kind << 4 | version
    raw = struct.pack(">BBHHII", 0xAA, sync, len(body) + 16, idcode, soc, stamp) + body
    return raw + struct.pack(">H", crc_bitwise(raw))


def pmu_block(fmt, phnmr=0, annmr=0, dgnmr=0, stn=b"", idcode=7, names=None, units=None, fnom=1, cfgcnt=0):
    """Configuration of one PMU; names: bytes of 16 each in order, units: u32 each in order."""
    count = phnmr + annmr + 16 * dgnmr
    names = names or [b"NAME %d" % i for i in range(count)]
    units = units or [0x0100] * (phnmr + annmr + dgnmr)
    return (
        struct.pack(">16sHHHHH", stn.ljust(16), idcode, fmt, phnmr, annmr, dgnmr)
        + b"".join(name.ljust(16) for name in names)
        + struct.pack(f">{len(units)}I", *units)
        + struct.pack(">HH", fnom, cfgcnt)
    )


def config_body(pmus, time_base=1_000_000, rate=50):
    return struct.pack(">IH", time_base, len(pmus)) + b"".join(pmus) + struct.pack(">h", rate)


def block_size(fmt, phnmr, annmr, dgnmr):
    """Bytes of one PMU in a data frame (Table 5)."""
    return (
        2
        + (8 if fmt & 2 else 4) * phnmr
        + (8 if fmt & 8 else 4)
        + (4 if fmt & 4 else 2) * annmr
        + 2 * dgnmr
    )


def words(low=0, high=0xFFFF):
    return st.integers(low, high)


U32 = st.integers(0, 0xFFFFFFFF)
HEADS = st.fixed_dictionaries(
    {"idcode": words(), "soc": U32, "stamp": U32, "version": words(0, 15), "reserved": words(0, 1)}
)
NAMES = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.binary(max_size=16).map(lambda raw: raw.ljust(16)),
    st.binary(max_size=16).map(lambda raw: raw.ljust(16, b"\0")),
)
# NaNs, quiet and signalling, infinities and subnormals as often as anything else
FLOAT_WORDS = st.one_of(
    U32,
    st.integers(0x7F800000, 0x7FFFFFFF),
    st.integers(0xFF800000, 0xFFFFFFFF),
    st.sampled_from([0, 0x80000000, 1, 0x7F800001, 0xFFA00000]),
)


@st.composite
def configurations(draw, kinds=(2, 3)):
    """(bytes of a configuration frame, IDCODE, size of the body of its data frames)."""
    blocks, body_size = [], 0
    for _ in range(draw(st.integers(1, 4))):
        fmt = draw(st.one_of(words(0, 15), words()))
        counts = draw(st.tuples(words(0, 4), words(0, 3), words(0, 2)))
        names = draw(st.lists(NAMES, min_size=1, max_size=4))
        total = counts[0] + counts[1] + 16 * counts[2]
        units = [draw(U32) for _ in range(sum(counts))]
        blocks.append(
            pmu_block(
                fmt,
                *counts,
                stn=draw(NAMES),
                idcode=draw(words()),
                names=[names[i % len(names)] for i in range(total)],
                units=units,
                fnom=draw(words()),
                cfgcnt=draw(words()),
            )
        )
        body_size += block_size(fmt, *counts)
    head = draw(HEADS)
    body = config_body(blocks, draw(U32), draw(st.integers(-0x8000, 0x7FFF)))
    return frame(draw(st.sampled_from(kinds)), body, **head), head["idcode"], body_size


@st.composite
def streams(draw):
    """(configuration frame, data frame that fits it): any bits at all in the data."""
    config, idcode, size = draw(configurations())
    body = b"".join(struct.pack(">I", draw(FLOAT_WORDS)) for _ in range(size // 4 + 1))[:size]
    return config, frame(0, body, **{**draw(HEADS), "idcode": idcode})


PLAIN_FRAMES = st.one_of(
    st.builds(lambda head, text: frame(1, text, **head), HEADS, st.binary(min_size=1, max_size=200)),
    st.builds(
        lambda head, cmd, ext: frame(4, struct.pack(">H", cmd) + ext, **head),
        HEADS,
        st.one_of(words(1, 8), words()),
        st.binary(max_size=40),
    ),
    configurations().map(lambda made: made[0]),
)


def known_streams():
    """{name: frames} of the shapes seen in the field: each a CFG-2 and data frames that fit it."""
    made = {}

    def add(name, idcode, pmus, time_base=1_000_000, rate=50, stat=0, count=120, tq=0):
        """pmus: arguments of pmu_block, by name."""
        base = time_base & 0xFFFFFF
        frames = [frame(3, config_body([pmu_block(**pmu) for pmu in pmus], time_base, rate), idcode)]
        for n in range(count):
            body = b""
            for pmu in pmus:
                size = block_size(pmu["fmt"], *(pmu.get(k, 0) for k in ("phnmr", "annmr", "dgnmr"))) - 2
                body += struct.pack(">H", stat) + bytes((37 * n + 11 * i) & 0xFF for i in range(size))
            soc, fracsec = 1_700_000_000 + n // rate, round(n % rate * base / rate)
            frames.append(frame(0, body, idcode, soc, tq << 24 | fracsec))
        made[name] = frames

    two = [
        {"fmt": 0, "phnmr": 4, "annmr": 3, "dgnmr": 1, "stn": b"PMU A", "idcode": 101},
        {"fmt": 15, "phnmr": 2, "annmr": 1, "dgnmr": 0, "stn": b"PMU B\0\0\0", "idcode": 102},
    ]
    add("two PMUs", 100, two)
    four = [
        {
            "fmt": fmt,
            "phnmr": 2,
            "annmr": 2,
            "dgnmr": 1,
            "stn": b"STATION %d" % fmt,
            "idcode": 200 + fmt,
            "units": [0x00000DDD, 0x010000AA, 0x41FFFFFF, 0xFF800000, 0xFFFF0000],
        }
        for fmt in (1, 6, 9, 14)
    ]
    add("four PMUs, user ANUNIT", 200, four, time_base=0x0F0F4240)
    floats = [{"fmt": 15, "phnmr": 3, "annmr": 2, "dgnmr": 2, "stn": b"SIXTY", "fnom": 0}]
    add("60 fps, PMU_TQ 7", 300, floats, time_base=0xFFFFFF, rate=60, stat=0x21C0, tq=0x8B)
    return made
