"""Any frame from its bytes."""

from c37118.command import Command, HeaderText
from c37118.config import Config
from c37118.data import Data
from c37118.frame import (
    CFG1,
    CFG2,
    CFG3,
    COMMAND,
    DATA,
    HEADER,
    FrameError,
    NoConfiguration,
    kind_name,
    kind_of,
    mismatch,
    verify,
)

_CLASSES = {HEADER: HeaderText, CFG1: Config, CFG2: Config, COMMAND: Command}


def decode(buf, config=None):
    """The frame that `buf` holds from its first to its last byte: Data, HeaderText, Config or Command.

    config: the Config that a data frame needs; NoConfiguration when a good one comes without.
    FrameError, and nothing else, for any other bytes.
    """
    kind = kind_of(buf)
    if kind == DATA:
        if config is None:
            verify(buf, (DATA,))
            raise NoConfiguration("data frame of IDCODE %d: no configuration yet" % (buf[4] << 8 | buf[5]))
        return Data.decode(buf, config)
    if kind == CFG3:
        raise FrameError("CFG-3 is not supported yet")
    if kind not in _CLASSES:
        raise mismatch("frame type", 1, "0..5", kind_name(kind))
    return _CLASSES[kind].decode(buf)
