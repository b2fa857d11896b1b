"""What the LED says: one code at a time, the most urgent."""

import asyncio

# Legal values of a code, and how it looks: on, off, on, off ... in tenths of a second. README has the table.
OK, NO_BROKER, NO_WIFI, PASSWORD, NO_ADDRESS, FLASH, NO_TIME, FALLBACK, SAFE = range(9)
_FLASHES = (
    b"\x01\x1d",
    b"\x02\x03\x02\x0f",
    b"\x02\x03\x02\x03\x02\x0f",
    b"\x02\x03\x02\x03\x02\x03\x02\x0f",
    b"\x02\x03\x02\x03\x02\x03\x02\x03\x02\x0f",
    b"\x08\x04\x02\x0f",
    b"\x08\x04\x02\x03\x02\x0f",
    b"\x08\x04\x02\x03\x02\x03\x02\x0f",
    b"\x01\x01",
)
_RADIO = {"password": PASSWORD, "address": NO_ADDRESS, "absent": NO_WIFI, "joining": NO_WIFI, "off": NO_WIFI}


class Lamp:
    """led(on): the board's. At most ten wake-ups a second, and nothing is allocated.

    `code`: what to show next; the flashes of the one before are not cut short.
    """

    def __init__(self, led):
        self._led = led
        self.code = OK

    async def run(self):
        led = self._led
        while True:
            flashes = _FLASHES[self.code]
            for i in range(len(flashes)):
                led(not i & 1)
                await asyncio.sleep_ms(100 * flashes[i])


def code(radio, down, storage, known, fallback):
    """The most urgent code. radio: its state, None without; down: no broker; storage: state of the outbox's; known:
    whether time is; fallback: another configuration or application than was meant."""
    if radio in _RADIO:
        return _RADIO[radio]
    if down:
        return NO_BROKER
    if storage != "ok" and storage != "none":
        return FLASH
    if not known:
        return NO_TIME
    return FALLBACK if fallback else OK
