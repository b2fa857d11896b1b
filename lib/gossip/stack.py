"""The gossip of one node put together: what comes goes in, time passes, what goes out is handed to `send`."""

from gossip.datagram import diff
from gossip.discovery import Discovery
from gossip.endpoint import Endpoint
from gossip.peers import Peers
from gossip.relay import Relay
from gossip.repair import Repair


class Stack:
    """number, role, boot: this node's. seal: Seal of the segment's key. trust: Trust or None. send: Endpoint's.
    randrange(n). seeds, services, remote: Discovery's. now: ticks in ms, 0..2**30-1, of this moment; those that are
    given later go on from there and wrap. seq: of the first message that is started here, 0: by the boot. value:
    what Queries asks this node, None: it answers nothing.

    `received` for each datagram, `tick` every 50 ms or so, `verify` while it says True.
    """

    def __init__(
        self,
        number,
        role,
        boot,
        seal,
        trust,
        send,
        randrange,
        now,
        seeds=(),
        services=1,
        view=16,
        period_ms=2000,
        pull=8,
        probe_ms=10000,
        remote=0,
        seq=0,
        value=None,
    ):
        self.peers = Peers(number, role, view, randrange)
        self.end = Endpoint(boot, seal, self.peers, send)
        self.relay = Relay(self.end, trust, seq or max(boot << 14 & 0x3FFFFFFF, 1), now)
        self.repair = Repair(self.relay, randrange, period_ms, pull, now)
        self.discovery = discovery = Discovery(self.end, seeds, services, randrange, probe_ms, remote)
        discovery.digests = self.repair.offers
        discovery.on_digest = self.repair.offered
        self.queries = None
        if value:
            from gossip.query import Queries

            self.queries = Queries(self.relay, value, randrange)
        self.trust = trust
        self._begun = None
        self._now = now

    def received(self, buf, n, address, now):
        """A datagram: buf[:n], from `address` (six bytes), which is left alone afterwards. What became of it."""
        return self.end.received(buf, n, address, now)

    def tick(self, now):
        passed_ms = diff(now, self._now)
        self._now = now
        self.end.tick(passed_ms)
        self.discovery.tick(passed_ms)
        self.repair.tick(now)
        if self.queries:
            self.queries.tick(now)

    def verify(self, hashes, now):
        """Go on verifying, for so many hashes at most. Whether there is more to do just now."""
        relay, trust = self.relay, self.trust
        item = relay.checks.pending(now)
        if not item:
            return False
        if item is not self._begun:
            payload = memoryview(item.buf)[: item.size]
            reason = trust.begin(payload, item.flags & 7, item.origin, item.seq, item.lifetime_s)
            if reason:
                relay.checks.drop(item, reason)
                return True
            self._begun = item
        good = trust.step(hashes)
        if good is not None:
            self._begun = None
            relay.settled(item, good, now)
        return True
