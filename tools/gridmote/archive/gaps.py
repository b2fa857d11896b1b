"""What an archive lacks: the reporting grid of DATA_RATE against the frames that are there."""

from collections import namedtuple

from gridmote.frame.raw import grid_of, has_time, idcode_of, leap_step

# (soc, fracsec) on both sides; count of frames; UTC microseconds of the first and the last missing one;
# DATA_RATE (negative: seconds a frame)
Gap = namedtuple("Gap", "idcode after until missing first_us last_us rate")

# Longer steps between a frame that has the time (MSG_TQ) and one that has not are two clocks, not a gap.
_TWO_CLOCKS_S = 60


def find_gaps(rows, configs):
    """Yields a Gap where between first and last of `rows`, as Archive.frames() gives them, frames lack.

    configs: as Archive.configs(). Across a change of DATA_RATE or TIME_BASE nothing is counted. Leap seconds
    are allowed for. Without a configuration of its IDCODE a frame is left out.
    """
    configs = [(from_us, idcode_of(frame), grid_of(frame)) for from_us, frame in configs]
    last = None  # (idcode, grid, number on the grid, row, has_time) of the frame before
    shift_s = 0  # leap seconds since the first frame
    for row in rows:
        grid = _grid_at(configs, row.idcode, row.soc, row.fracsec)
        if grid is None:
            continue
        if last is None or last[0] != row.idcode or last[1] != grid:
            shift_s = 0
            last = None
        elif last[3].leap & 0x10 and row.leap & 0x20 and not last[3].leap & 0x20:
            shift_s += leap_step(row.frame)
        number = _grid_number(grid, row.soc + shift_s, row.fracsec)
        timed = has_time(row.frame)
        if last is not None and number - last[2] > 1:
            before = last[3]
            if timed == last[4] or row.soc - before.soc <= _TWO_CLOCKS_S:
                yield _gap(before, row, grid, number - last[2] - 1)
        last = (row.idcode, grid, number, row, timed)


def _gap(before, row, grid, missing):
    time_base, rate = grid
    step_us = 1_000_000 // rate if rate > 0 else 1_000_000 * -rate
    first_us, last_us = (
        r.soc * 1_000_000 + round(r.fracsec * 1_000_000 / time_base) + sign * step_us
        for r, sign in ((before, 1), (row, -1)))
    return Gap(row.idcode, (before.soc, before.fracsec), (row.soc, row.fracsec), missing, first_us, last_us, rate)


def _grid_at(configs, idcode, soc, fracsec):
    """-> (TIME_BASE, DATA_RATE) for a frame: of the last configuration from before it, else the first."""
    found = None
    for from_us, config_idcode, grid in configs:
        if config_idcode == idcode:
            if found is not None and from_us > soc * 1_000_000 + fracsec * 1_000_000 // grid[0]:
                break
            found = grid
    return found


def _grid_number(grid, soc, fracsec):
    time_base, rate = grid
    if rate < 0:
        return soc // -rate
    return soc * rate + (fracsec * rate + time_base // 2) // time_base
