"""What the files of a log hold: found when it is made, and again when records are taken back.

Part of Log, and as free with what belongs to it, but needed seldom: a node lets go of this module in between.
"""

from outbox.log import RANDOM_BOOT, RANDOM_CHUNK, STARTS, block_of, blocks_in
from outbox.record import BLOCK_HEAD, CONFIG, CONTEXT, HEAD, RECORD, TICKS, get_u32, is_head

_AGAIN_MOST = 4  # times that a segment is taken back without getting on: then a backlog shrinks all the same
_NUMBER_MOST = 0xF0000000  # a file with a higher one is not ours


def recover(log):
    """Fill in what a new Log finds; it tells how."""
    numbers = []
    for name in log.storage.names():
        if len(name) == 9 and name[0] == log._prefix:
            try:
                numbers.append(int(name[1:], 16))
            except ValueError:
                pass
    numbers = sorted([n for n in numbers if n < _NUMBER_MOST])
    for number in numbers:
        try:
            size = min(log.storage.size(log.name(number)), STARTS[-1])  # nothing of ours is behind that
            count = _count(log, log.name(number), size)
        except OSError:
            log.corrupt += 1
            continue
        if size < BLOCK_HEAD:  # its first write was cut off
            log._done.append([number, 0, -1])
            continue
        log._numbers.append(number)
        log._sizes.append(size)
        log._counts.append(count)
        log.waiting += count
        log.blocks += blocks_in(size)
    if numbers:
        log.number = numbers[-1] + 1
    if log._numbers and log._numbers[-1] == numbers[-1]:
        at = STARTS[block_of(log._sizes[-1] - 1) + 1] if log.staged else log._sizes[-1]
        if at < log._most:
            log.number = numbers[-1]
            log.at = at


def _count(log, name, size):
    """Records in a segment file."""
    total = 0
    context = bytearray(CONTEXT)
    places = [at for at in STARTS[:8] if at < size]
    for i, n in enumerate(log.storage.read_each(name, places, log._head)):
        count = 0
        if n == BLOCK_HEAD and is_head(log._head, 0, context):
            boot, chunk = get_u32(context, 0), get_u32(context, 4)
            if boot < RANDOM_BOOT and boot > log.boot_found:
                log.boot_found = boot
            if chunk < RANDOM_CHUNK and chunk > log.chunk_found:
                log.chunk_found = chunk
            count = log._head[2] << 16 | log._head[3] << 8 | log._head[4]
            if not count:
                count = _walk(log, name, STARTS[i], min(size, STARTS[i + 1]))
        total += count
    return total


def _walk(log, name, at, end):
    count = 0
    head = log._head
    while at + RECORD <= end and log.storage.read(name, at, head) >= RECORD:
        kind = head[0] >> 4
        if not kind:
            break
        if kind != HEAD and kind != CONFIG:
            count += 1
        at += RECORD + ((head[0] & 15) << 8 | head[1])
    return count


def revive(log, now, most_ms):
    """Take back the segments that were done in the last most_ms, and the one of which a part was acknowledged:
    True if the log is to be read from its begin. After _AGAIN_MOST times one has to get on first."""
    first = log._numbers[0] if log._numbers else log.number
    back = [(d[0], d[1], d[1]) for d in log._done if d[1] and (d[2] < 0 or (now - d[2]) & TICKS <= most_ms)]
    if first <= log.begun and (log._numbers or log.fill):
        far = log._begun_at if first == log.begun else 0  # it lies in another one: not known here
        back.append((first, log._sizes[0] if log._numbers else 0, far))
    known = [d[0] for d in log._done] + log._numbers + [log.number]
    log._revived = {n: log._revived[n] for n in log._revived if n in known}
    revived = False
    back.sort()
    for number, size, far in reversed(back):
        times = log._revived.setdefault(number, [0, far])
        if times[0] < _AGAIN_MOST:
            times[0] += 1
            revived = True
            if size:  # else it is in RAM only
                _take_back(log, number, size)
    log.begun = -1
    return revived


def _take_back(log, number, size):
    count = 1  # at least
    if number in log._numbers:
        log._numbers.pop(0)
        log._sizes.pop(0)
        count = log._counts.pop(0)
        log.waiting -= count
    else:
        log._done = [d for d in log._done if d[0] != number]
    try:
        count = _count(log, log.name(number), size)
    except OSError:
        pass
    log._numbers.insert(0, number)
    log._sizes.insert(0, size)
    log._counts.insert(0, count)
    log.waiting += count
