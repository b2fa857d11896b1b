"""Opens a file of prices, whatever it is, for its reader."""

from pathlib import Path

from gridmote.fault import Fault
from gridmote.tariff import agile, columns

_MOST_BYTES = 16 << 20


def read(path, wanted):
    """-> Prices of a JSON or a CSV; Fault with a line for each mistake. wanted: rows.Wanted."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise Fault(f"{path}: more than {_MOST_BYTES >> 20} MiB: no file of prices")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise Fault(f"{path}: nothing in it")
    if text.lstrip()[0] in "{[":
        return agile.read(path, text, wanted)
    return columns.read(path, text, wanted)
