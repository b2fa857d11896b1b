"""Evidence of demonstrations that never ran: one in which nothing went wrong, and one with its cuts."""

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from gridmote.demo.evidence import Evidence, Published
from gridmote.demo.reference import GridReference, Sampling

SOC, RATE, MADE, BASE = 1_800_000_000, 50, 100, 1_000_000
CONFIG = Config(765, [PmuConfig("Demo", 765, 0xB, [("VA", 0, 1), ("IA", 1, 1)], fnom=1)], RATE, soc=SOC)
TRUTH = GridReference({"channels": [
    {"name": "VA", "kind": "V", "phase": "A", "magnitude": 230.0, "angle_deg": 10.0},
    {"name": "IA", "kind": "I", "phase": "A", "magnitude": 5.0, "angle_deg": 40.0},
]})
SAMPLING = Sampling(1600, 50, 20)


def frame(number):
    t_s = number / RATE
    phasors = [TRUTH.at(t_s, channel)[0] for channel in range(2)]
    block = PmuData.measured(CONFIG.pmus[0], 0, phasors, 50.0, 0.0)
    return Data(765, SOC + number // RATE, 0, number % RATE * 20_000, [block]).encode(CONFIG)


def at_us(ms):
    """Milliseconds after SOC as evidence has them."""
    return SOC * 1_000_000 + ms * 1000


def stopped(boot, frames):
    return {"state": "stopped", "boot": boot, "frames": frames, "waiting": 0, "flash_waiting": 0, "dropped": 0,
            "thinned": 0, "skipped": 0, "lost_blocks": 0, "loss_most": 60}


def evidence():
    """Of a run in which nothing went wrong: frames 2 to 101, each 45 ms after its stamp at the PDC."""
    frames = [frame(n) for n in range(2, 2 + MADE)]
    came = [(raw, at_us(n * 20 + 45)) for n, raw in enumerate(frames, 2)]
    status = stopped(1, MADE)
    return Evidence(
        BASE, RATE, SAMPLING, status, {1: status}, [Published(raw, True, us) for raw, us in came],
        list(came), list(came), [(1, SOC - 1)], [(1, 0), (1, 1)])


def cut():
    """In ms after SOC: the broker is away from 2000 to 8000, the meter killed at 4000, its second life begins at
    6000 and ends at 10000. Frame n is there at 20 n + 40 (test_latency_begins_when_the_block_is_full), so that 2 to
    198 were made in the first life; of these the last 49 were only in RAM.
    """
    def publish(numbers, live, came_ms):
        for n in numbers:
            seen.published.append(Published(frame(n), live, at_us(came_ms(n))))
            seen.archived.append((frame(n), at_us(came_ms(n))))
            if live:
                seen.client.append(seen.archived[-1])

    seen = Evidence(BASE, RATE, SAMPLING, stopped(2, 198), {1: {"boot": 1, "frames": 90, "loss_most": 60}})
    seen.statuses[2] = seen.status
    seen.starts = [(2, SOC + 5), (1, SOC - 1)]
    seen.durable = [(1, 0), (2, 0), (2, 1)]
    seen.down_us, seen.killed_us, seen.up_us = at_us(2000), at_us(4000), at_us(8000)
    publish(range(2, 98), True, lambda n: n * 20 + 45)
    publish(range(98, 150), False, lambda n: 8900 + n)
    publish(range(302, 360), False, lambda n: 8900 + n)
    publish(range(360, 398), True, lambda n: 8300)
    publish(range(398, 500), True, lambda n: n * 20 + 345)
    return seen
