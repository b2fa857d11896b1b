"""What boards/README.md promises of every board, checked on one of them."""

import select
import sys
import time

PLACE = {"area": "test", "location_type": "secondary-station", "location_id": "1156"}
PORT = 20000 + time.ticks_us() % 20000
CAUSES = ("power", "watchdog", "restart", "button", "unknown")


def configuration(**sections):
    from settings.schema import check

    config = {
        "id": "765",
        "topic": PLACE,
        "broker": {"host": "broker"},
        "measurement": {"idcode": 765},
        "source": {"kind": "synthetic"},
    }
    config.update(sections)
    return check(config)


def lean(**sections):
    """A configuration that measures nothing."""
    from settings.schema import check

    return check(dict({"id": "heater", "role": "ied", "topic": PLACE}, **sections))


def stage_one(board, name):
    """Before any configuration."""
    assert board.name == name
    assert board.identity and all(c in "0123456789abcdef" for c in board.identity), board.identity
    assert board.reset_cause in CAUSES, board.reset_cause
    assert board.longest_watchdog_ms >= 1000 and 400 <= board.longest_block_ms < board.longest_watchdog_ms
    assert isinstance(board.flash_kib, int) and board.flash_kib >= 0
    assert isinstance(board.node_folder, str)
    assert board.free_bytes() > 0
    assert 0 <= board.note <= 65535
    for note in (1, 65535, 258, 0):
        board.note = note
        assert board.note == note
    board.led(True)
    board.led(False)
    board.write("a line")
    assert board.vault is None or board.vault.get("none") is None
    if board.vault:
        board.vault.put("identity", b"\0\1\2")
        assert board.vault.get("identity") == b"\0\1\2"
    dog = board.watchdog(board.longest_watchdog_ms)
    dog.feed()
    dog.release()
    dog.feed()
    board.close()  # before open(), too
    for gone in ("clock", "source", "network"):
        assert not hasattr(board, gone), gone


def stage_two(board, run, relays=True):
    """After open() with the simulated grid. run(us): time goes on."""
    clock, network, source = board.clock, board.network, board.source
    clock.update()
    assert clock.known in (True, False) and 0 <= clock.tq < 256 and 0 <= clock.stat < 65536
    assert clock.stepped in (True, False)
    sec, wait_ms = clock.next_second()
    assert -(1 << 31) <= sec < 1 << 31 and 0 <= wait_ms <= 1001
    for name in ("connect", "secure", "look_up", "udp", "place"):
        assert callable(getattr(network, name))
    _datagrams(network)
    station = network.station
    for name in ("on", "join", "state", "rssi", "leave") if station else ():
        assert callable(getattr(station, name))
    assert (board.storage is None) == bool(board.storage_error) or not board.storage_error
    if relays:
        board.relay(0, True)
        board.relay(1, False)
    blocks(source, run, 5)
    board.close()

def _datagrams(network):
    """Two of them on one computer: each hears the other, with its address in six bytes; nothing waits."""
    one, two = network.datagrams(PORT), network.datagrams(PORT + 1, "239.255.71.13")
    loop = bytes([127, 0, 0, 1])
    addresses = [loop + (PORT + k).to_bytes(2, "big") for k in (0, 1)]
    buf = bytearray(100)
    assert two.receive(buf) == -1 and not one.joined
    assert one.send(addresses[1], b"hello there", 5)
    assert _came(two, buf) == 5 and buf[:5] == b"hello" and two.address == addresses[0]
    assert two.send(two.address, bytes(300), 300)
    assert _came(one, buf) == 100 and one.address == addresses[1]  # cut
    assert one.receive(buf) == -1
    assert one.send(addresses[1], b"", 0) and _came(two, buf) == 0
    joined = two.join()
    assert joined == two.joined in (True, False)
    two.join()  # the network came up again
    assert one.send(addresses[1], b"again", 5) and _came(two, buf) == 5
    one.close()
    two.close()
    listener = network.listen(PORT)
    out = network.connect("127.0.0.1", PORT)
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    assert poller.poll(2000)
    sock, address = network.accept(listener)
    assert address[:4] == loop and len(address) == 6
    assert sock.read(1) is None  # it does not block
    try:
        network.accept(listener)
        raise AssertionError("nobody came")
    except OSError:
        pass
    for one in (sock, out, listener):
        one.close()


def _came(datagrams, buf):
    for _ in range(200):
        n = datagrams.receive(buf)
        if n >= 0:
            return n
        time.sleep_ms(10)


def without_source(made, **sections):
    """open() with a configuration that measures nothing."""
    made.open(lean(**sections))
    assert made.source is None and made.clock and made.network
    made.close()


def blocks(source, run, wanted):
    """That many blocks, one after the other, without a gap."""
    assert source.channels and all({"name", "kind", "phase", "scale"} <= set(c) for c in source.channels)
    before = None
    while wanted:
        due_ms = source.due_ms()
        if due_ms > 0:
            assert due_ms <= 1100
            run(due_ms * 1000)
            continue
        n = source.fill()
        assert n == source.block_samples and len(source.block) == n * len(source.channels)
        assert 0 <= source.ns < 1000000000
        if before:
            step = (source.sec - before[0]) * 1000000000 + source.ns - before[1]
            off = step - n * 1000000000 // source.fs_hz
            assert abs(off) < 500000000 // source.fs_hz, off  # half a sample
        before = source.sec, source.ns
        wanted -= 1
    assert source.lost_blocks == 0


def loaded():
    return [name for name in sys.modules if name.startswith("boards.")]
