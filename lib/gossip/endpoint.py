"""One end of the gossip: what comes in is checked and handed on, what goes out is sealed."""

from array import array
from struct import pack

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import Message, decode, put_head

_HEAD = const(25)  # wire.py
_MOST = const(1232)
_PROBE = const(6)
_OK = const(0)  # wire.REASONS
_CHECKING = const(1)
_OWN = const(8)
_BAD_SEAL = const(9)
_STALE = const(10)
_STRANGER = const(12)
_REASON_COUNT = const(25)
_TOKENS_A_SECOND = const(20)  # datagrams of one neighbour, in the long run


class Endpoint:
    """boot: count of this node's starts, 1..65535. seal: Seal of the segment's key. peers: Peers.
    send(address, buf, n, tcp): hand a datagram to the network, at once or not at all; never raises.

    on: by kind, a function (message, i, now_ms) -> reason, i: the sender's place among the peers, -1 in a PROBE
    that does not know our boot; `address`: where the datagram came from.
    on_stale(message, address, now_ms): a datagram, sealed well, that was made for another boot of this node.
    counters: datagrams received, by reason; their sum is `received`'s calls. sent, sent_bytes.
    out: the buffer of what is sent: payload at HEAD, written by whoever calls `post`.
    """

    def __init__(self, boot, seal, peers, send):
        self.boot = boot
        self.peers = peers
        self.number = peers.number
        self.counters = array("I", [0] * _REASON_COUNT)
        self.sent = self.sent_bytes = 0
        self.out = bytearray(_MOST)
        self.on = [None] * 11
        self.on_stale = None
        self.address = b""
        self._seal = seal
        self._send = send
        self._message = Message()
        self._refilled_ms = 0

    def received(self, buf, n, address, now):
        """A datagram: buf[:n] from `address` (six bytes). What became of it."""
        reason = self._take(buf, n, address, now)
        self.counters[reason] += 1
        return reason

    def settled(self, reason):
        """The verification of a datagram that was CHECKING has come to an end."""
        self.counters[_CHECKING] -= 1
        self.counters[reason] += 1

    def _take(self, buf, n, address, now):
        message = self._message
        reason = decode(buf, n, message)
        if reason:
            return reason
        if message.sender == self.number:
            return _OWN
        if not self._seal.good(buf, n, pack(">I", self.number if message.to else 0)):
            return _BAD_SEAL
        i = -1
        if message.to == self.boot:
            i = self.peers.meet(message, address)
            if i < 0:
                return -i
        elif message.to or message.kind != _PROBE:
            if self.on_stale:
                self.on_stale(message, address, now)
            return _STALE
        take = self.on[message.kind]
        if not take:
            return _STRANGER
        self.address = address
        return take(message, i, now) or _OK

    def tick(self, passed_ms):
        """So much time has passed since the last call."""
        self._refilled_ms += passed_ms
        tokens = self._refilled_ms * _TOKENS_A_SECOND // 1000
        if tokens:
            self._refilled_ms -= tokens * 1000 // _TOKENS_A_SECOND
            self.peers.refill(min(tokens, 255))

    def post(self, i, kind, flags, r, f, origin, seq, lifetime_s, size):
        """Send the payload out[HEAD:HEAD + size] to peer i; as often as wanted, the payload stays. The binding is
        the peer's, whatever that of the message was on its way here."""
        peers = self.peers
        flags = flags & 0xDF | (0x20 if peers.tcp(i) else 0)
        to, number = peers.boot(i), peers.number_at(i)
        self.post_to(peers.address(i), to, kind, flags, r, f, origin, seq, lifetime_s, size, number)

    def post_to(self, address, to, kind, flags, r, f, origin, seq, lifetime_s, size, number):
        """The same to an address, where boot `to` of node `number` is known, or 0."""
        out = self.out
        put_head(
            out, kind, self.peers.role, flags, r, f, origin, seq, self.number, self.boot, to, lifetime_s, size
        )
        n = self._seal.close(out, _HEAD + size, pack(">I", number if to else 0))
        self.sent += 1
        self.sent_bytes += n
        self._send(address, out, n, bool(flags & 0x20))
