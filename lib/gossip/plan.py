"""How much gossip is enough: fanout, rounds and repairs from the number of nodes and what goes wrong.

For people and tools; no node loads it. n nodes of which `crash` (a share) are dead and nobody knows it yet; each
datagram is lost with probability `loss`. Peers are chosen as if from all. Shares are of the nodes that live.

Push: a relay's datagram hits a given node with q = f (1 - loss) / (n - 2), so of L live nodes the share s is
reached that solves 1 - s = (1 - q) ** (s L) (the final size of an epidemic), unless the message dies out at its
start. Where there are few, each relay is counted.
Repair: in each period a node that lacks it asks 2 others; question and answer get through and meet somebody who has
it with a = (1 - loss) ** 2 (1 - crash) s', so 1 - s' shrinks by (1 - a) ** 2.
"""

from math import exp, log

F_MOST = 8
R_MOST = 31
ASKS = 2  # a period
PATIENCE = 16  # periods of asking, after which it is done less often
INSIST = 8  # periods of the initiator
LATE = 2  # periods after the start until who lacks it knows that
_FEW = 150  # up to so many are counted relay by relay
LIMIT = 8  # periods until 99 % must have it


class Plan:
    """f, r, repairs: what to configure (repairs: periods of asking). push: share that push alone is expected to
    reach; shares: after each repair, from 0 on; everybody: probability that all live nodes have it after them.
    datagrams: by live node and message."""

    def __init__(self, n, loss, crash, f, r, repairs, shares, everybody, datagrams):
        self.n, self.loss, self.crash = n, loss, crash
        self.f, self.r, self.repairs, self.shares = f, r, repairs, shares
        self.push, self.everybody, self.datagrams = shares[0], everybody, datagrams


def _live(n, crash):
    return max(2, n - int(n * crash))


def _dies_out(f, p):
    """Probability that the line of one relay ends before it has grown, where each of f datagrams makes another."""
    q = 0.0
    for _ in range(200):
        q = (1 - p + p * q) ** f
    return q


def _initiated(n, loss, live, f):
    """({how many have it: probability}, datagrams) when two have acknowledged it to the initiator: f datagrams,
    then two more a period to who has not."""
    states, sent = {(1, 0): 1.0}, 0.0
    arrives = (1 - loss) * (live - 1) / (n - 1)
    for k in range(f + 2 * INSIST):
        following = {}
        for (has, acks), p in states.items():
            if k >= f and acks >= min(2, live - 1):
                ways = (((has, acks), 1),)
            else:
                sent += p
                new = 1.0 if k < f else max(0, live - has) / max(1, live - 1 - acks)
                ways = (
                    ((has, acks), 1 - arrives),
                    ((has + 1, acks + 1), arrives * new * (1 - loss)),
                    ((has + 1, acks), arrives * new * loss),
                    ((has, acks + 1), arrives * (1 - new) * (1 - loss)),
                    ((has, acks), arrives * (1 - new) * loss),
                )
            for state, share in ways:
                if share:
                    following[state] = following.get(state, 0) + p * share
        states = following
    found = {}
    for (has, _), p in states.items():
        found[min(has, live)] = found.get(min(has, live), 0) + p
    return found, sent


def _few(n, loss, live, f):
    """Expected share, relay by relay: how probable it is that so many have it when the next one sends. Its
    datagrams go to different nodes, none to the origin or to whom it has the message from."""
    has = [0.0] * (live + 1)
    for have, p in _initiated(n, loss, live, f)[0].items():
        has[have] = p
    share = has[1] / live
    for relay in range(1, live):
        share += has[relay] * relay / live  # nobody is left who has not sent
        has[relay] = 0.0
        others = max(1, n - (2 if relay <= f * (1 - loss) else 3))
        for k in range(min(f, others)):
            for have in range(live - 1, relay, -1):
                lack = (live - have) * (1 - k * loss / others)
                hit = has[have] * min(1.0, (1 - loss) * lack / (others - k))
                has[have + 1] += hit
                has[have] -= hit
    return share + has[live]


def pushed(n, loss, crash, f):
    """Expected share that push alone reaches. The initiator goes on until two have acknowledged."""
    live = _live(n, crash)
    f = min(f, n - 1)
    if live <= _FEW:
        return _few(n, loss, live, f)
    hit = f * (1 - loss) / (n - 2)
    share = 1.0
    for _ in range(500):
        share = 1 - (1 - hit) ** (share * live)
    p = (1 - loss) * (live - 1) / (n - 1)
    q, ended = _dies_out(f, p), 0.0
    for has, ways in _initiated(n, loss, live, f)[0].items():
        ended += ways * q ** (has - 1)
    return share * (1 - ended) + ended * 3 / live


def rounds(n, loss, crash, f):
    """Hops that the push needs, and three quarters more where delays differ."""
    live = _live(n, crash)
    hit = min(1.0, f * (1 - loss) / max(1, n - 2))
    has = new = 1.0
    hops = 0
    while hops < 99 and (has < live / 2 or new >= max(0.5, live / 200)):
        new = (live - has) * (1 - (1 - hit) ** new)
        has += new
        hops += 1
    return min(R_MOST, max(4, (7 * hops + 3) // 4))


def repaired(loss, crash, share, periods):
    """Shares that have it, before and after each of so many periods of asking."""
    shares = [share]
    for _ in range(periods):
        asked = (1 - loss) ** 2 * (1 - crash) * shares[-1]
        shares.append(1 - (1 - shares[-1]) * (1 - asked) ** ASKS)
    return shares


def cost(n, loss, crash, f, shares):
    """Datagrams by live node: each that the push reaches sends f, who lacks it asks, who has it answers; what the
    initiator sends beyond that, and is acknowledged."""
    live = _live(n, crash)
    most = min(f, n - 1)
    insisted = _initiated(n, loss, live, most)[1] - most
    total = min(f, max(1, n - 2)) * shares[0] + (insisted + 2 * (1 + loss)) / live
    for share in shares[:-1]:
        total += (1 - share) * ASKS * (1 + (1 - loss) * (1 - crash) * share)
    return total


def at(n, loss, crash, f, want=0.999):
    """The Plan with this f: as many repairs as bring everybody with probability `want`."""
    live = _live(n, crash)
    share = pushed(n, loss, crash, f)
    repairs = 0
    while True:
        shares = repaired(loss, crash, share, repairs)
        everybody = shares[-1] ** live
        if everybody >= want or repairs == PATIENCE:
            break
        repairs += 1
    r = rounds(n, loss, crash, f)
    return Plan(n, loss, crash, f, r, repairs, shares, everybody, cost(n, loss, crash, f, shares))


def plan(n, loss=0.25, crash=0.1, want=0.999):
    """The cheapest Plan with which 99 % have a message within 8 periods and all with probability `want`.

    ValueError: there are too few nodes, or too much is lost."""
    if n < 2 or not 0 <= loss < 1 or not 0 <= crash < 1:
        raise ValueError("plan: it takes 2 nodes, and loss and crash from 0 to below 1")
    best = None
    for f in range(3, F_MOST + 1):  # with 2 it is too near to dying out
        found = at(n, loss, crash, min(f, n - 1), want)
        soon = repaired(loss, crash, found.push, LIMIT - LATE)[-1]
        if found.everybody >= want and soon >= 0.99 and (not best or found.datagrams < best.datagrams):
            best = found
    if not best:
        raise ValueError("plan: so much is lost that %d peers are not enough" % F_MOST)
    return best


def alone(n, loss, crash, want=0.999):
    """The f with which push alone would reach everybody with probability `want`: it grows with ln n."""
    live = _live(n, crash)
    return (log(live) - log(-log(want))) / ((1 - loss) * (1 - crash))


def everybody_alone(n, loss, crash, f):
    """Probability that push alone reaches everybody."""
    live = _live(n, crash)
    return exp(-live * exp(-f * (1 - loss) * (live - 1) / (n - 1)))
