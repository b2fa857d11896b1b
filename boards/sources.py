"""Makes the sources that need no hardware. Run once, then let go."""

from boards.once import once
from boards.paced import Paced


def simulated(config, clock, depth_ms):
    """The synthetic grid of a configuration, paced by `clock`. ValueError for a grid that cannot be."""
    from boards.synthetic import Synthetic

    grid = {"f0_hz": config["measurement"]["f0_hz"]}
    grid.update(config["source"]["grid"])
    try:
        fs_hz = once("waveform.grid", "settings", grid)["fs_hz"]
        source = Synthetic(grid, max(1, fs_hz * config["measurement"]["block_ms"] // 1000))
    except (ValueError, TypeError, KeyError, IndexError) as e:
        raise ValueError("source.grid: %s" % e)
    return Paced(source, clock, depth_ms)


def replay(config, clock, depth_ms):
    """The recording of a configuration, paced by `clock`; on a computer only."""
    from boards.unix.replay import Replay
    from waveform.gmr import read_head

    source = config["source"]
    with open(source["file"], "rb") as file:
        head, _ = read_head(source["file"], file)
    samples = max(1, head["fs_hz"] * config["measurement"]["block_ms"] // 1000)
    return Paced(Replay(source["file"], samples, source["repeat"]), clock, depth_ms)
