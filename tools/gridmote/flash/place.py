"""The files of a node on a board, as gridmote.provision.install wants them."""

import base64
import json

from gridmote.fault import Fault
from gridmote.flash.link import Refused
from gridmote.provision.layout import DEVICE_FOLDER, on_device

_CHUNK = 2304


class BoardPlace:
    """The files of one node in /node of the board behind a Link, which is stopped. Fault from everything."""

    def __init__(self, link):
        self._link = link
        self._run("import os, json\nfrom binascii import a2b_base64, b2a_base64")

    def __str__(self):
        return self._link.place

    def path(self, name):
        """What a file is called in messages."""
        return f"{on_device(name)} of {self._link.place}"

    def _run(self, code):
        try:
            return self._link.run(f"{code}\nalive()", 60).strip()
        except Refused as error:
            raise Fault(f"{self._link.place}: the board could not write {DEVICE_FOLDER}: {error.last}") from error

    def read(self, name):
        """Bytes, or None if there is no such file."""
        told = self._run(
            f"try:\n with open({on_device(name)!r}, 'rb') as f:\n  while True:\n   b = f.read(768)\n"
            "   print(str(b2a_base64(b), 'ascii'), end='')\n   if not b: break\nexcept OSError:\n print('-')")
        return None if told == "-" else b"".join(base64.b64decode(line) for line in told.split())

    def names(self):
        """Of the files that can be ours."""
        return json.loads(self._run(
            f"n = []\nfor p in ('', 'keys/'):\n try:\n  n += [p + e[0] for e in os.ilistdir('{DEVICE_FOLDER}/' + p)"
            " if e[1] == 0x8000]\n except OSError:\n  pass\nprint(json.dumps(n))"))

    def write(self, name, data):
        """The whole file, on the flash."""
        path = on_device(name)
        for folder in (DEVICE_FOLDER, f"{DEVICE_FOLDER}/keys")[: 1 + name.startswith("keys/")]:
            self._run(f"try:\n os.stat({folder!r})\nexcept OSError:\n os.mkdir({folder!r})")
        self._run(f"f = open({path!r}, 'wb')")
        for i in range(0, len(data), _CHUNK):
            self._run(f"f.write(a2b_base64({base64.b64encode(data[i : i + _CHUNK])!r}))")
        self._run("f.close()")

    def rename(self, old, new):
        self._run(f"os.rename({on_device(old)!r}, {on_device(new)!r})")

    def remove(self, name):
        self._run(f"os.remove({on_device(name)!r})")

    def settle(self):
        """littlefs has every rename and removal on the flash when it returns."""
