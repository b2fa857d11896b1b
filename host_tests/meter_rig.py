"""What the tests of outages share: a whole node as a process, and an ear for all that it publishes."""

import contextlib
import json
import math
import re
import signal
import time
from collections import namedtuple

from c37118.frame import DATA, kind_of
from gridmote.frame.raw import idcode_of, identity, whole_frames
from host_tests.mqtt_rig import Process, hearing, wait_for

PLACE = {"area": "test", "location_type": "secondary-station", "location_id": "1156"}
RATE = 50
NODE_ID = "765"
_IDCODE = 765
_TIME_BASE = 1_000_000

Frame = namedtuple("Frame", "number kind arrived_s")  # number on the grid of RATE; data-type of its topic; UTC


def configuration(folder, host, port, **sections):
    """Path of a node's configuration; `sections` add to or replace what it says."""
    config = {
        "id": NODE_ID,
        "topic": PLACE,
        "broker": {"host": host, "port": port},
        "measurement": {"idcode": _IDCODE, "rate": RATE},
        "source": {"kind": "synthetic"},
        "outbox": {},
        "status_s": 1,
    }
    for name, value in sections.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    path = folder / "node.json"
    path.write_text(json.dumps(config))
    return path


class Meter(Process):
    """firmware/main.py on a port (fixture mpy) with the configuration at `path`, begun in `with inside():`.

    It tells what it promises (mpy/meter_told.py): `made()` and `kept()` give that.
    """

    def __init__(self, mpy, path, inside=contextlib.nullcontext, heap="512k"):
        with inside():
            argv = mpy.command("host_tests/mpy/meter_told.py", path, heapsize=heap)
            super().__init__(argv, mpy.environment())

    def __exit__(self, kind, *_):
        super().__exit__()
        if kind:
            print("\n".join([line for line in self.lines if not line.startswith("made ")][-20:]))

    def made(self):
        """Numbers of the frames in its outbox so far."""
        # A signal may come between a line and its end: then two stand in one.
        stamps = [found for line in list(self.lines) for found in re.findall(r"made (\d+) (\d+)", line)]
        return {int(soc) * RATE + int(fracsec) * RATE // _TIME_BASE for soc, fracsec in stamps}

    def untimed(self):
        """How many frames without time were made."""
        return list(self.lines).count("untimed")

    def kept(self):
        """The durable records on its flash so far, as JSON objects."""
        return [json.loads(line[5:]) for line in list(self.lines) if line.startswith("kept ")]

    def stop(self, most_s=20):
        """As Ctrl-C: it sends what waits and says good-bye."""
        self.signal(signal.SIGINT)
        assert self.wait(most_s) == 0, "\n".join(self.lines[-20:])


class Ear:
    """All that one node published, as it came: `frames` (Frame), `meters`, `events`, `statuses` (JSON objects),
    `untimed` (payloads), `configurations` (data-type of the topic, bytes). `conflicts`: frames with the identity of
    another, but other bytes."""

    def __init__(self):
        self._bytes, self.conflicts = {}, []
        self.frames, self.untimed, self.configurations = [], [], []
        self.meters, self.events, self.statuses = [], [], []
        self._json = {"METER": self.meters, "EVENT": self.events, "STATUS": self.statuses}

    def take(self, topic, payload):
        arrived_s = time.time()
        kind = topic.split("/")[3]
        if kind in self._json:
            self._json[kind].append(json.loads(payload))
        elif kind == "PMU-UNTIMED":
            self.untimed.append(payload)
        elif kind != "CMD":
            for frame in whole_frames(payload):
                assert idcode_of(frame) == _IDCODE
                if kind_of(frame) == DATA:
                    number = number_of(frame)
                    self.frames.append(Frame(number, kind, arrived_s))
                    if self._bytes.setdefault(number, frame) != frame:
                        self.conflicts.append(frame)
                else:
                    self.configurations.append((kind, frame))

    def payloads(self):
        """Bytes of the data frames, each once."""
        return list(self._bytes.values())

    def live(self):
        return [frame for frame in self.frames if frame.kind == "PMU"]

    def first(self):
        """The frames without duplicates, as each came first."""
        frames = {}
        for frame in list(self.frames):
            frames.setdefault(frame.number, frame)
        return list(frames.values())

    def numbers(self):
        """Of the frames, in the order in which they came first."""
        return [frame.number for frame in self.first()]

    def durable(self):
        return durable(self.meters + self.events)

    def wait_live(self, count, most_s=30):
        """Until `count` more live frames came."""
        count += len(self.live())
        wait_for(lambda: len(self.live()) >= count, f"{count} live frames", most_s)

    def wait_status(self, most_s=30, **fields):
        """Until a STATUS says all these -> that one."""
        def found():
            return [s for s in list(self.statuses) if all(s.get(k) == v for k, v in fields.items())]

        wait_for(found, f"STATUS with {fields}", most_s)
        return found()[-1]


def all_heard(node, *ears, most_s=60):
    """Until every frame that a Meter made by now, and then every one that it made until it stopped, was heard by
    one of the ears; nothing else was, and none with other bytes."""

    def missing(made):
        return made.difference(*(ear.numbers() for ear in ears))

    made = node.made()
    wait_for(lambda: not missing(made), f"{len(missing(made))} of {len(made)} frames", most_s)
    node.stop()
    made = node.made()
    wait_for(lambda: not missing(made), f"{len(missing(made))} of the last frames")
    assert made == set().union(*(ear.numbers() for ear in ears))
    assert not [frame for ear in ears for frame in ear.conflicts]


def number_of(frame):
    """Of a data frame (bytes), on the grid of RATE."""
    _, soc, _, fracsec = identity(frame)
    return soc * RATE + fracsec * RATE // _TIME_BASE


def durable(records):
    """The identities of METER and EVENT records."""
    return {(record["boot"], record["seq"]) for record in records}


def latencies_ms(frames):
    """From the instant that a frame describes to the ear."""
    return [(frame.arrived_s - frame.number / RATE) * 1000 for frame in frames]


def p99(values):
    """The nearest rank."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


@contextlib.contextmanager
def listening(broker, inside=contextlib.nullcontext, session=""):
    """The Ear of a subscriber to everything at a Broker: `hearing` of mqtt_rig."""
    ear = Ear()
    with hearing(broker, lambda m: ear.take(m.topic, m.payload), session=session, inside=inside):
        yield ear
