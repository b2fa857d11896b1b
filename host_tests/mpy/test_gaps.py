"""Lost blocks and stepped clocks: what cannot be measured is counted, the rest stays on the grid and right."""

from array import array

from boards.synthetic import Synthetic
from phasor.estimator import Estimator

BLOCK = 32
START = -300000000


def run(blocks, change):
    """Frames [(second, number, angle)]; change(i, sec, ns) gives the time of block i, None loses it."""
    source = Synthetic({"fs_hz": 1600, "frequency_offset_hz": 0.0}, BLOCK)
    source.start(START)
    out = array("i", bytes(16 * 6))
    estimator = Estimator(1600, 50, 50, 6, BLOCK, out)
    frames = []
    for i in range(blocks):
        n = source.fill()
        time = change(i, source.sec, source.ns)
        if time:
            estimator.push(source.block, n, time[0], time[1])
            while estimator.next():
                frames.append((estimator.sec, estimator.frame, out[1]))
    return frames, estimator


def places(frames):
    return [(sec - START) * 50 + number for sec, number, _ in frames]


def straight(frames):
    """At nominal frequency the angle is the same in every frame, whatever was lost between."""
    return max([abs(angle - frames[0][2]) for _, _, angle in frames]) < 2000  # 2^-30 turns


frames, estimator = run(100, lambda i, sec, ns: (sec, ns))
whole = places(frames)
assert whole == list(range(whole[0], whole[0] + len(whole))) and whole[0] <= 2 and len(whole) >= 96
assert straight(frames) and (estimator.gaps, estimator.skipped) == (0, 0)

# One lost block: the windows that reach into it are skipped, and counted.
frames, estimator = run(100, lambda i, sec, ns: None if i == 40 else (sec, ns))
assert estimator.gaps == 1 and estimator.skipped == len(whole) - len(frames) > 0
missing = sorted(set(whole) - set(places(frames)))
assert straight(frames) and missing == list(range(missing[0], missing[0] + estimator.skipped)), missing
assert 38 <= missing[0] <= 40 and len(missing) <= 5, missing

# Microseconds of jitter are no gap; the frames follow the stated time: 10 us are 0.18 degrees.
frames, estimator = run(100, lambda i, sec, ns: (sec, ns + (10000 if i % 2 else 0)))
assert estimator.gaps == 0 and places(frames) == whole
assert max([abs(angle - frames[0][2]) for _, _, angle in frames]) < 600000

# A clock stepped forwards an hour, and one stepped back five seconds: the grid begins anew, no stamp is wrong.
for step in (3600, -5):
    frames, estimator = run(100, lambda i, sec, ns, step=step: (sec + (step if i >= 50 else 0), ns))
    assert estimator.gaps == 1, estimator.gaps
    found = places(frames)
    breaks = [i for i in range(1, len(found)) if found[i] != found[i - 1] + 1]
    assert len(breaks) == 1, "one run of frames before the step, one after it"
    later = found[breaks[0] :]
    assert len(later) >= 44 and breaks[0] >= 44
    assert later[0] >= 50 + step * 50, "nothing is stamped before its samples"
    assert straight(frames)

# A gap of one and a half seconds.
frames, estimator = run(200, lambda i, sec, ns: None if 40 <= i < 115 else (sec, ns))
assert estimator.gaps == 1 and straight(frames)
found = places(frames)
assert sorted(set(found)) == found and estimator.skipped + len(found) == found[-1] - found[0] + 1
