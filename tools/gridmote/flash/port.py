"""Which port a board is at, if nobody says."""

from serial.tools import list_ports

from gridmote.fault import Fault


def candidates():
    """[(place, what it is)] of the USB serial ports."""
    found = [port for port in list_ports.comports() if port.vid is not None]
    return [(port.device, f"{port.description or '?'} {port.vid:04x}:{port.pid:04x}") for port in sorted(found)]


def find():
    """The place of the only board; Fault that names what there is."""
    found = candidates()
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise Fault("no board found: no USB serial port. Is it plugged in, with a cable that carries data, and in "
                    "normal mode (a Pico with BOOTSEL held is a disk)? Else say --port (make: PORT=)")
    listed = "\n".join(f"  --port {place}   {what}" for place, what in found)
    raise Fault(f"{len(found)} ports, which one? (make: PORT={found[0][0]})\n{listed}")
