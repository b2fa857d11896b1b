"""A heap in pieces that are too small for a datagram: it comes all the same, again and again."""

import gc
import time

from boards.datagrams import Datagrams

PORT = 17121
here = b"\x7f\0\0\1" + (PORT).to_bytes(2, "big")
there, other = Datagrams(PORT), Datagrams(PORT + 1)
buf, large = bytearray(1233), bytearray([7] * 1200)

pieces = []
try:
    while True:
        pieces.append(bytearray(400))
except MemoryError:
    pass
for i in range(0, len(pieces), 2):
    pieces[i] = None
del i
gc.collect()
free = gc.mem_free()
assert free > 20000
try:
    bytearray(1233)
    raise SystemExit("the heap is not in pieces")
except MemoryError:
    pass
for _ in range(20):
    assert other.send(here, large, 1200)
    time.sleep_ms(2)
    assert there.receive(buf) == 1200 and buf[1199] == 7
    buf[1199] = 0
gc.collect()
assert gc.mem_free() > free - 200
