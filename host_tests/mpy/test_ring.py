"""Ring, Window, Inbound and Publish allocate nothing, and work across the wrap of their numbers."""

import micropython

from mqtt.inbound import Inbound
from mqtt.publish import Publish
from mqtt.window import FREE, Window
from outbox.ring import Ring

SEQS = 1 << 29
ring = Ring(16, 52)
ring.written = ring.sent = ring.acked = SEQS - 300
window = Window(8)
window._last = 65_400
live = Publish(b"south-italy-113/secondary-station/1156/PMU/765", 52)
big = Publish(b"t", 20_000)
bulk = bytearray(150_000)
bulk[-1] = 0xA5
answer = bytearray(b"\x40\x02\x00\x00")


def on_packet(kind, packet, size):
    ring.ack(window.close(packet[0] << 8 | packet[1]))


inbound = Inbound(64, on_packet)


def turn(answered):
    """One record through: committed, taken, encoded, acknowledged."""
    off = ring.pend()
    ring.buf[off] = 7
    seq = ring.commit(52)
    assert ring.next() == seq and ring.holds(seq)
    pid = window.open(seq)
    live.encode(ring.buf, ring.off(seq), ring.size(seq), pid, True, True)
    answer[2] = pid >> 8
    answer[3] = pid & 255
    if answered:
        inbound.feed(answer, 4)


def overflow():
    for _ in range(40):
        ring.pend()
        ring.commit(1)
    while ring.next() >= 0:
        pass
    seq = ring.acked
    while seq != ring.written:
        ring.ack(seq)
        seq = (seq + 1) & (SEQS - 1)


def reconnect():
    for _ in range(5):
        turn(False)
    window.open(FREE)
    window.rewind()
    while True:
        pid = window.resend()
        if not pid:
            break
        assert window.carried(pid)
        ring.ack(window.close(pid))


micropython.heap_lock()
for _ in range(500):
    turn(True)
reconnect()
overflow()
big.encode(bulk, len(bulk) - 20_000, 20_000, 65_535)
micropython.heap_unlock()
assert len(ring) == 0 and ring.written == 245 and ring.dropped == 40 - 16, (len(ring), ring.written, ring.dropped)
assert window.open_count == 0 and big.buf[big.end - 1] == 0xA5
assert bytes(live.buf[live.start : live.start + 2]) == bytes((0x3B, 2 + 46 + 2 + 52))
