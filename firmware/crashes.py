"""Why the node restarted: the last few reasons, on flash. Loaded when it dies and when it starts."""

import io
import struct
import sys
from binascii import crc32

from micropython import const

_FILE = "/crashes"
_ENTRIES = const(4)
_ENTRY = const(768)  # bytes each has in the file
_HEAD = const(13)  # told, CRC of the rest, number, length
_MOST = const(700)
_FRESH, _TOLD = b"!", b"."


class Crashes:
    """folder: of the node; the file in it is a ring. An entry is (number, kind, text), kind "crash", "restart" or
    "slot". What is torn or cannot be read counts as not there; OSError only when an entry cannot be written.
    """

    def __init__(self, folder):
        self._path = folder + _FILE

    def entries(self):
        """[(number, kind, text, told)], oldest first."""
        found = []
        try:
            with open(self._path, "rb") as file:
                for _ in range(_ENTRIES):
                    entry = _parse(file.read(_ENTRY))
                    if entry:
                        found.append(entry)
        except OSError:
            pass
        found.sort()
        return found

    def record(self, kind, text):
        """Keep it in place of the oldest. The end of a text that is too long is kept: there is the reason."""
        found = self.entries()
        number = found[-1][0] + 1 if found else 1
        text = plain("%s\n%s" % (kind, text)).encode()
        if len(text) > _MOST:
            n = len(kind) + 1
            text = text[:n] + b"..." + text[n + 3 - _MOST :]
        body = struct.pack("<II", number, len(text)) + text
        entry = _FRESH + struct.pack("<I", crc32(body)) + body
        self._put(number, entry + bytes(_ENTRY - len(entry)))

    def tell(self, say):
        """say(number, kind, text) of each that was not told yet, oldest first; it is told when that returns."""
        for number, kind, text, told in self.entries():
            if not told:
                say(number, kind, text)
                try:
                    self._put(number, _TOLD)
                except OSError:  # it is told once more after the next start; its number says so
                    pass

    def _put(self, number, data):
        try:
            file = open(self._path, "r+b")
        except OSError:
            file = open(self._path, "wb")
            file.write(bytes(_ENTRIES * _ENTRY))
        try:
            file.seek(number % _ENTRIES * _ENTRY)
            file.write(data)
        finally:
            file.close()


def _parse(data):
    if len(data) < _HEAD:
        return None
    crc, number, size = struct.unpack_from("<III", data, 1)
    if not number or size > _MOST:
        return None
    body = data[5 : _HEAD + size]
    if len(body) != 8 + size or crc32(body) != crc:
        return None
    kind, _, text = body[8:].decode().partition("\n")
    return number, kind, text, data[:1] == _TOLD


def plain(text):
    """ASCII alone, lines kept: bytes that spoil UTF-8 get into strings, by JSON, for example."""
    return bytes([c if 32 <= c < 127 or c == 10 else 63 for c in text.encode()]).decode()


def trace(error):
    """The traceback of an exception as text, without its first line."""
    out = io.StringIO(_MOST)
    sys.print_exception(error, out)
    return out.getvalue().partition("\n")[2]
