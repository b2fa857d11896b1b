"""Command frames (Tables 14 and 15) and header frames (Table 13)."""

import struct

from c37118.frame import (
    COMMAND,
    HEAD_SIZE,
    HEADER,
    MAX_SIZE,
    Frame,
    FrameError,
    finish,
    from_latin1,
    mismatch,
    require,
    to_latin1,
    verify,
)

DATA_OFF, DATA_ON, SEND_HDR, SEND_CFG1, SEND_CFG2, SEND_CFG3, EXTENDED = 1, 2, 3, 4, 5, 6, 8  # Table 15
USER_FIRST, USER_LAST = 0x0100, 0x0FFF  # Table 15: free for the user


class Command(Frame):
    """cmd: u16 of Table 15 (reserved codes too: the receiver discards those); ext: bytes of EXTFRAME."""

    kind = COMMAND

    def __init__(self, idcode, cmd, ext=b"", soc=0, tq=0, fracsec=0, version=1):
        Frame.__init__(self, idcode, soc, tq, fracsec, version)
        self.cmd = cmd
        self.ext = ext

    def encode(self):
        buf = self.begin()
        buf.extend(struct.pack(">H", require("CMD", self.cmd, 0, 0xFFFF)))
        buf.extend(self.ext)
        return finish(buf)

    @classmethod
    def decode(cls, buf):
        verify(buf, (COMMAND,))
        if len(buf) < HEAD_SIZE + 4:
            raise mismatch("FRAMESIZE", 2, "at least 18 for a command", len(buf))
        return cls(0, buf[14] << 8 | buf[15], bytes(buf[16:-2])).with_head(buf)


class HeaderText(Frame):
    """text: str of 1..65519 characters, each standing for the byte of that code (ASCII, by Table 13)."""

    kind = HEADER

    def __init__(self, idcode, text, soc=0, tq=0, fracsec=0, version=1):
        Frame.__init__(self, idcode, soc, tq, fracsec, version)
        self.text = text

    def encode(self):
        buf = self.begin()
        text = to_latin1("header text", self.text, MAX_SIZE - HEAD_SIZE - 2)
        if not text:
            raise FrameError("header text is empty: at least 1 character (Table 13)")
        buf.extend(text)
        return finish(buf)

    @classmethod
    def decode(cls, buf):
        verify(buf, (HEADER,))
        if len(buf) == HEAD_SIZE + 2:
            raise mismatch("FRAMESIZE", 2, "at least 17 for a header", len(buf))
        return cls(0, from_latin1(buf[HEAD_SIZE:-2])).with_head(buf)
