"""Queries, each promise by itself (rows 8, 12, 15, 16, 17 and 21 of the features), among the firmware's nodes."""

import gc
from struct import pack_into, unpack_from

from query_net import TICK_MS, QueryNet

from gossip import quantity
from gossip.quantity import COUNT, HELD, LAST, MAX, MEAN, MIN, PERIODS, ROLL, SPAN, SUM, VERSIONS
from gossip.wire import (
    ACK,
    ASK,
    BUSY,
    DATA,
    DUPLICATE,
    FIELD,
    HAD,
    HEAD,
    IED,
    IS,
    MATCH,
    METER,
    NOTICE,
    OK,
    ORIGIN,
    PROBE,
    QUERY,
    REPLY,
    SSC,
    TEXT,
    UNASKED,
)

CHAIN = [(k, k + 1) for k in range(5)]  # 0 - 1 - 2 - 3 - 4 - 5
STAR = [(0, k) for k in range(1, 9)]
REQUEST, SOLICIT = 2, 3


class Tap:
    """What goes over the network, but for the peer service: `of(kind)` gives [(from, to, datagram)]."""

    def __init__(self, net):
        self.all = []
        net.tap = self._see

    def _see(self, source, target, data):
        if data[1] & 15 not in (PROBE, MATCH):
            self.all.append((source, target, data))

    def of(self, kind):
        return [one for one in self.all if one[2][1] & 15 == kind]


def asked(net):
    return [node.i for node in net.nodes if node.asked]


def post(net, source, target, kind, payload, origin, seq):
    """Hand node `target` this, whatever it means, sealed by node `source`; what becomes of it."""
    end, to = net.nodes[source].stack.end, net.nodes[target]
    caught = []
    send, end._send = end._send, lambda address, buf, n, tcp: caught.append(bytearray(memoryview(buf)[:n]))
    end.out[HEAD : HEAD + len(payload)] = payload
    end.post_to(to.address, to.boot, kind, 7, 4, 4, origin, seq, 60, len(payload), to.number)
    end._send = send
    return to.stack.received(caught[0], len(caught[0]), net.nodes[source].address, to.clock())


def reply(part, function, contributors, value=b"", faults=0, missing=0):
    buf = bytearray(8)
    pack_into(">BBHHH", buf, 0, part, function, contributors, faults, missing)
    return buf + value


# -- row 8: the four exchanges ------------------------------------------------------------------------------


def test_one_way_has_no_reply():
    net = QueryNet(8, seed=1)
    tap = Tap(net)
    id = net.start(3, bytes([TEXT]) + b"hello", f=8)
    net.run(3000)
    assert len(net.times(id)) == 8 and not tap.of(REPLY) and not asked(net)


def test_notification_of_authorised_origins_only():
    net = QueryNet(8, seed=1, defaults={"authorised": (105,), "r": 12})
    net.start(3, bytes([NOTICE]) + b"fire", f=8)
    net.run(3000)
    assert sum([node.stack.end.counters[ORIGIN] for node in net.nodes]) > 0
    id = net.start(5, bytes([NOTICE]) + b"water", f=8)
    net.run(3000)
    assert len(net.times(id)) == 8


def test_request_response():
    """Anybody asks; each one that is reached answers once."""
    net = QueryNet(24, seed=4, loss=100, twice=200)
    query = net.ask(7, COUNT, f=8)
    assert [node.asked for node in net.nodes] == [1] * 24
    assert (query.contributors, query.value, query.faults, query.missing()) == (24, (24,), 0, 0)


def test_solicit_response_of_authorised_origins_only():
    net = QueryNet(8, seed=1, defaults={"authorised": (105,), "r": 12})
    query = net.ask(3, COUNT, exchange=SOLICIT, timeout_ms=3000)
    assert asked(net) == [3] and query.contributors == 1 and query.missing() > 0
    assert sum([node.stack.end.counters[ORIGIN] for node in net.nodes]) > 0
    query = net.ask(5, COUNT, exchange=SOLICIT, f=8)
    assert query.contributors == 8 and query.missing() == 0


# -- row 12: without gossip ---------------------------------------------------------------------------------


def test_plain_request():
    """ASK goes to one neighbour and comes back as one REPLY; nobody else hears of it, and there is no gossip."""
    net = QueryNet(4, links=((0, 1), (1, 2), (1, 3)), services=3)
    tap = Tap(net)
    query = net.ask(0, SUM, 5, to=101)
    assert (query.contributors, query.value, query.faults, query.missing()) == (1, (101,), 0, 0)
    net.run(20000)
    assert [(source, target, data[1] & 15) for source, target, data in tap.all] == [(0, 1, ASK), (1, 0, REPLY)]
    assert asked(net) == [1]


def test_plain_request_in_vain():
    net = QueryNet(3, links=((0, 1), (1, 2)))
    query = net.ask(0, 77, 5, to=101)
    assert (query.contributors, query.value, query.faults) == (0, None, 1)  # a function that nobody knows
    net.nodes[1].crash()
    tap = Tap(net)
    query = net.ask(0, SUM, 5, to=101, ms=20000)
    assert (query.contributors, query.faults, query.missing()) == (0, 0, 1)
    assert 3 <= len(tap.of(ASK)) <= 7
    query = net.ask(0, SUM, 5, to=4711, ms=20000)  # nobody of that number is known
    assert (query.contributors, query.missing()) == (0, 1)


def test_plain_request_that_is_lost():
    net = QueryNet(2, seed=5, loss=250)
    for _ in range(10):
        query = net.ask(0, SUM, 5, to=101)
        assert (query.contributors, query.value) == (1, (101,))


def test_both_forms_are_announced_together():
    """A PROBE's and a MATCH's services say that the same number and address takes plain requests, too."""
    net = QueryNet(2, links=((0, 1),), services=3, probe_ms=1000)
    net.run(5000)
    peers = net.nodes[0].stack.peers
    assert peers.services(peers.index(101)) == 3
    other = QueryNet(2, links=((0, 1),), probe_ms=1000)
    other.run(5000)
    peers = other.nodes[0].stack.peers
    assert peers.services(peers.index(101)) == 1


# -- row 15: the way back -----------------------------------------------------------------------------------


def test_along_the_path():
    """In a chain each answers the one that asked it, with all behind it, and the ends never speak to each other."""
    net = QueryNet(6, links=CHAIN)
    tap = Tap(net)
    query = net.ask(0, SUM)
    assert (query.contributors, query.value) == (6, (sum(range(100, 106)),))
    replies = tap.of(REPLY)
    assert [(source, target) for source, target, _ in replies] == [(k, k - 1) for k in range(5, 0, -1)]
    assert [unpack_from(">H", data, HEAD + 2)[0] for _, _, data in replies] == [1, 2, 3, 4, 5]
    left = [unpack_from(">H", data, HEAD + 8)[0] for _, _, data in tap.of(DATA)]
    assert len(left) == 5 and sorted(set(left)) == left[::-1]  # less for each hop


def open_query(net, source, target, seq=900, function=SUM, left=3000, origin=0, exchange=REQUEST, least=0):
    """Node `source` asks `target`, by hand: what became of it there."""
    payload = bytearray(10)
    pack_into(">BBBHBHH", payload, 0, QUERY, exchange, function, 5, 0, least, left)
    return post(net, source, target, DATA, payload, origin or source + 100, seq)


def test_forged_parent():
    """Who asks second is not answered, and cannot acknowledge in the place of the first."""
    net = QueryNet(4, links=((0, 1), (1, 2), (1, 3)))
    assert open_query(net, 0, 1) == OK
    tap = Tap(net)
    assert open_query(net, 3, 1, origin=100) == DUPLICATE
    acks = tap.of(ACK)
    assert [target for source, target, data in acks if data[HEAD + 9] == HAD and source == 1] == [3]
    ack = bytearray(10)
    pack_into(">IIBB", ack, 0, 100, 900, 0, 0)
    assert post(net, 3, 1, ACK, ack, 100, 900) == OK  # node 1 had asked it, too: but that is no answer's
    assert post(net, 3, 0, ACK, ack, 100, 900) == UNASKED
    net.run(20000)
    assert {target for source, target, _ in tap.of(REPLY) if source == 1} == {0}
    assert len([1 for source, _, _ in tap.of(REPLY) if source == 1]) == 7  # node 0 did not ask by itself: no ACK


def test_reply_of_a_stranger():
    """Only who was asked counts: not a neighbour that was not, nor one whose answer is for another question."""
    net = QueryNet(4, links=((0, 1), (0, 2), (0, 3)), defaults={"f": 1, "r": 12})
    found = []
    node = net.nodes[0]
    query = node.queries.start(node.clock(), COUNT, 0, found.append)
    child = list(query.children)[0] - 100
    others = [k for k in (1, 2, 3) if k != child]
    wrong = reply(0, COUNT, 500, b"\0\0\1\xf4")
    assert post(net, others[0], 0, REPLY, wrong, query.origin, query.seq) == UNASKED
    assert post(net, child, 0, REPLY, wrong, query.origin, query.seq + 1) == UNASKED
    net.run(20000)
    assert found == [query] and query.contributors == 2 and query.value == (2,)


def test_lifetime():
    """When the question's life is over nothing is left of it; who asks the same then has asked before."""
    net = QueryNet(3, links=((0, 1), (1, 2)))
    query = net.ask(0, SUM, timeout_ms=2000)
    assert query.contributors == 3
    net.run(40000)
    assert [len(node.queries._all) for node in net.nodes] == [0, 0, 0]
    assert post(net, 1, 0, REPLY, reply(3, SUM, 1, bytes(8)), query.origin, query.seq) == UNASKED
    assert open_query(net, 2, 1, seq=query.seq, origin=100) == DUPLICATE
    assert query.contributors == 3


# -- row 16: functions --------------------------------------------------------------------------------------


def value_of(node, function, arg):
    """Something else for each function; every node of a segment has another."""
    number = node.number
    return {
        COUNT: number % 3,
        SUM: number * 1000003 - 10**8,
        MEAN: 50000 + number % 7,
        MIN: -number,
        MAX: number * 12345678901,
        SPAN: 35900 + 2 * number,
        PERIODS: (number, number * number, 0),
        LAST: (1700000000 + number * 7 % 64, 230000 + number),
        VERSIONS: b"1.0.%d" % (number % 4),
        HELD: number % 5,
        ROLL: 77,
    }[function]


def expected(nodes, function):
    values = [value_of(node, function, 0) for node in nodes]
    numbers = [node.number for node in nodes]
    if function == COUNT:
        return (len([1 for value in values if value]),)
    if function in (SUM, MEAN):
        return (sum(values),)
    if function == MIN:
        return min(zip(values, numbers))
    if function == MAX:
        return max(zip(values, numbers))
    if function == SPAN:
        return min(values) % 36000, max(values) - min(values)
    if function == PERIODS:
        return tuple([sum([value[k] for value in values]) for k in range(3)])
    if function == LAST:
        return max([value + (number,) for value, number in zip(values, numbers)])
    if function == HELD:
        lacking = [(number,) for value, number in zip(values, numbers) if not value]
        return len(lacking), tuple(sorted(lacking)[:15])
    if function == ROLL:
        roll = bytearray(63)
        for number in numbers:
            slot = number % (504 + 77) % 504
            roll[slot // 8] |= 1 << slot % 8
        return (bytes(roll),)
    counts = {}
    for value in values:
        counts[value + bytes(3)] = counts.get(value + bytes(3), 0) + 1
    return counts


def test_all_functions_equal_brute_force():
    """At 25 % loss, a fifth of the datagrams twice: each contributor counts once."""
    net = QueryNet(20, seed=6, loss=250, twice=200, values=value_of)
    for function in range(1, 12):
        for node in net.nodes:
            node.asked = 0
        query = net.ask(function, function, f=6)
        reached = [node for node in net.nodes if node.asked]
        assert [node.asked for node in reached] == [1] * len(reached) and len(reached) >= 18
        assert query.contributors == len(reached) and not query.faults
        value = query.value
        if function == VERSIONS:
            assert value[0] == 0
            value = dict(value[1])
        assert value == expected(reached, function), (function, value)
        net.run(4000)


def test_part_that_comes_twice_counts_once():
    net = QueryNet(3, links=((0, 1), (0, 2)))
    net.parted = lambda a, b: a == 0  # so that nobody answers by itself
    node = net.nodes[0]
    query = node.queries.start(node.clock(), SUM, 5, None)
    key = query.origin, query.seq
    seven = (7).to_bytes(8, "big")
    assert post(net, 1, 0, REPLY, reply(0, SUM, 2, seven), *key) == OK
    assert post(net, 1, 0, REPLY, reply(0, SUM, 2, seven), *key) == DUPLICATE
    assert post(net, 1, 0, REPLY, reply(1, SUM, 1, seven, missing=4), *key) == OK
    assert post(net, 1, 0, REPLY, reply(0, SUM, 2, seven), *key) == DUPLICATE
    assert post(net, 2, 0, REPLY, reply(0, SUM, 1, seven), *key) == OK
    assert (query.contributors, query.value, query.missing()) == (1 + 2 + 1 + 1, (100 + 21,), 4)


def test_malformed_replies_count_nothing():
    net = QueryNet(3, links=((0, 1), (0, 2)))
    net.parted = lambda a, b: a == 0
    node = net.nodes[0]
    query = node.queries.start(node.clock(), SUM, 5, None)
    key = query.origin, query.seq
    for wrong in (
        reply(0, MEAN, 1, bytes(8)),  # another function
        reply(0, SUM, 1, bytes(7)),  # another size
        reply(0, SUM, 1),
        reply(0, SUM, 0, bytes(8)),  # a value of nobody
    ):
        assert post(net, 1, 0, REPLY, wrong, *key) == 6, bytes(wrong)
    assert (query.contributors, query.value) == (1, (100,))


def started(function, arg=5, others=2, **how):
    """A query at a node that hears but what is handed to it, and its key."""
    net = QueryNet(1 + others, links=[(0, k) for k in range(1, 1 + others)], values=lambda *_: 50000)
    net.parted = lambda a, b: a == 0
    node = net.nodes[0]
    for name, value in how.items():
        setattr(node.queries, name, value)
    query = node.queries.start(node.clock(), function, arg, None)
    return net, query, (query.origin, query.seq)


def test_one_that_says_it_speaks_for_all():
    """It counts as so many as are believed, however often it says more; the others' answers count as before."""
    net, query, key = started(MEAN, 3, others=4, most=40, bounds=lambda function, arg: (45000, 65000))
    wild = (65534 * 10**9).to_bytes(8, "big")
    for part in range(3):
        assert post(net, 1, 0, REPLY, reply(part, MEAN, 65534, wild), *key) == OK
        assert query.contributors == 1 + 40
    for k in (2, 3, 4):
        assert post(net, k, 0, REPLY, reply(0, MEAN, 2, (2 * 50000).to_bytes(8, "big")), *key) == OK
    assert query.contributors == 1 + 40 + 6
    assert query.value == (50000 + 40 * 65000 + 6 * 50000,)


def test_contributors_stop_at_what_the_answer_holds():
    net, query, key = started(COUNT)
    for k in (1, 2):
        assert post(net, k, 0, REPLY, reply(0, COUNT, 65534, (65534).to_bytes(4, "big")), *key) == OK
    assert query.contributors == 65535 and query.value == (1 + 2 * 65534,)
    query.sum()


def test_who_had_the_question_from_elsewhere_does_not_answer_here():
    net, query, key = started(COUNT)
    ack = bytearray(10)
    pack_into(">IIBB", ack, 0, query.origin, query.seq, 0, HAD)
    assert post(net, 1, 0, ACK, ack, *key) == OK
    assert post(net, 1, 0, REPLY, reply(0, COUNT, 1, b"\0\0\0\1"), *key) == UNASKED
    assert post(net, 2, 0, REPLY, reply(0, COUNT, 1, b"\0\0\0\1"), *key) == OK
    assert query.contributors == 2


def test_a_tariff_number_has_30_bits():
    """Of HELD the minimum's place carries the upper ones: the question says exactly the number, hop by hop."""
    net = QueryNet(4, links=CHAIN[:3], values=lambda node, function, arg: arg == 0x3FFF0007)
    tap = Tap(net)
    query = net.ask(0, HELD, 0x3FFF0007)
    assert (query.arg, query.contributors, query.value) == (0x3FFF0007, 4, (0, ()))
    assert [bytes(data[HEAD : HEAD + 8]) for _, _, data in tap.of(DATA)] == [b"\x0b\x02\x0a\0\x07\0\x3f\xff"] * 3
    net.run(20000)
    query = net.ask(0, HELD, 7, least=2)  # a minimum there is not
    assert (query.arg, query.contributors, query.value[0]) == (7, 4, 4)


def test_unknown_function_is_a_fault():
    net = QueryNet(4, links=CHAIN[:3])
    query = net.ask(0, 77, ms=20000)
    assert (query.contributors, query.value) == (0, None) and query.faults >= 1
    # who knows it not says so, and does not pass on what it could not put together
    net = QueryNet(4, links=CHAIN[:3])
    tap = Tap(net)
    assert open_query(net, 0, 1, function=200) == OK
    net.run(3000)
    answers = [data for source, _, data in tap.of(REPLY) if source == 1]
    assert answers[0][HEAD : HEAD + 8] == reply(0, 200, 0, faults=1)
    assert not [1 for source, _, _ in tap.of(DATA) if source == 1]


def test_clipped_where_it_is_merged():
    """A meter that says a terawatt counts as what a meter is rated for."""
    net = QueryNet(6, links=CHAIN, values=lambda node, function, arg: 10**12 if node.i == 3 else 1000)
    for node in net.nodes:
        if node.i != 3:
            node.queries.bounds = lambda function, arg: (-11000, 11000)
    query = net.ask(0, SUM)
    assert query.contributors == 6
    assert query.value == (3 * 11000 + 3 * 1000,)  # node 3 speaks for three


# -- row 17: when it is answered ----------------------------------------------------------------------------


def test_minimum():
    """As soon as so many have contributed; before that not, while there is time."""
    net = QueryNet(9, links=STAR, defaults={"f": 8, "r": 12})
    tap = Tap(net)
    query = net.ask(0, COUNT, least=4)
    assert 4 <= query.contributors < 9 and net.now < 2000
    net.run(20000)
    assert query.contributors < 9  # who comes late is thanked, and not counted
    for child in range(1, 9):
        assert len([1 for source, _, _ in tap.of(REPLY) if source == child]) == 1
    net.run(20000)
    query = net.ask(0, COUNT, least=10)  # there are but nine
    assert query.contributors == 9


def test_minimum_in_the_middle():
    """One that has enough by itself asks nobody."""
    net = QueryNet(6, links=CHAIN)
    tap = Tap(net)
    query = net.ask(0, COUNT, least=1)
    assert query.contributors == 1 and not tap.all
    assert open_query(net, 0, 1, least=1) == OK
    net.run(20000)
    assert asked(net) == [0, 1]


def test_timeout():
    """Who is silent is waited for until the time is over, but no longer; what is there is told with what lacks."""
    net = QueryNet(6, links=CHAIN)
    net.nodes[3].crash()
    started = net.now
    query = net.ask(0, COUNT, timeout_ms=6000)
    assert 6000 <= net.now - started <= 6000 + 2 * TICK_MS
    assert (query.contributors, query.missing()) == (3, 1)


def test_timeout_shrinks():
    """A node that is asked answers before the one that asked it has to: a sleeping end does not cost the middle."""
    net = QueryNet(6, links=CHAIN)
    tap = Tap(net)
    net.nodes[5].queries.tick = lambda now: None
    query = net.ask(0, COUNT, timeout_ms=8000)
    assert (query.contributors, query.missing()) == (5, 1) and net.nodes[5].asked
    assert [source for source, _, _ in tap.of(REPLY)] == [4, 3, 2, 1]


def test_late_answer_is_not_lost():
    """The end of a chain sleeps until those before it have answered without it: a further part follows."""
    net = QueryNet(6, links=CHAIN)
    tap = Tap(net)
    found = []
    node, last = net.nodes[0], net.nodes[5].queries
    tick, last.tick = last.tick, lambda now: None
    query = node.queries.start(node.clock(), SUM, 0, found.append, timeout_ms=10000)
    while not [1 for source, _, data in tap.of(REPLY) if source == 4]:
        net.run(5)
    assert net.nodes[5].asked
    last.tick = tick
    net.run(10000)
    assert found == [query] and query.contributors == 6 and query.value == (sum(range(100, 106)),)
    assert query.missing() == 0
    assert {data[HEAD] for source, _, data in tap.of(REPLY) if source == 4} == {0, 1}


def test_faults_survive():
    net = QueryNet(
        24, seed=8, loss=250, values=lambda node, function, arg: None if node.i % 6 == 5 else node.number
    )
    query = net.ask(0, SUM, f=8)
    reached = [node for node in net.nodes if node.asked]
    assert query.faults == len([1 for node in reached if node.i % 6 == 5]) >= 3
    assert query.contributors + query.faults == len(reached)
    assert query.value == (sum([node.number for node in reached if node.i % 6 != 5]),)


def test_value_that_raises_is_a_fault():
    """LAST wants (stamp, value): a number is none, and must not stop the node."""
    net = QueryNet(3, links=((0, 1), (1, 2)))
    query = net.ask(0, LAST)
    assert (query.contributors, query.faults, query.value) == (0, 3, None)


# -- roles and places ---------------------------------------------------------------------------------------

TIERS = [IS, SSC, METER, METER, METER, IED, IED, IED, IED]
WIRES = [(0, 1), (1, 2), (1, 3), (2, 3), (3, 4), (2, 5), (2, 6), (3, 7), (4, 8), (5, 6)]


def test_target_roles():
    """Others pass it on and do not contribute; where there is nobody who is meant, nothing is sent."""
    net = QueryNet(9, links=WIRES, roles=TIERS)
    tap = Tap(net)
    query = net.ask(0, SUM, targets=METER)
    assert (query.contributors, query.value) == (3, (102 + 103 + 104,))
    assert asked(net) == [2, 3, 4]
    assert not [1 for _, target, _ in tap.all if TIERS[target] == IED]
    net.run(20000)
    query = net.ask(0, SUM, targets=IED)
    assert query.value == (105 + 106 + 107 + 108,)
    net.run(20000)
    query = net.ask(0, COUNT)
    assert query.contributors == 9


def test_an_appliance_asks_the_segment():
    net = QueryNet(9, links=WIRES, roles=TIERS)
    query = net.ask(5, MEAN, targets=METER, reach=3)  # HAN and FAN: the utility hears nothing of it
    assert (query.contributors, query.value) == (3, (102 + 103 + 104,)) and not net.nodes[0].queries._all
    net.run(20000)
    query = net.ask(8, COUNT, reach=1)
    assert query.contributors == 2  # its home


def test_four_at_once():
    """Two places for one neighbour, whatever origins it names. Of the four one is kept for this node itself, and
    one for what authorised origins ask, if one of the view says so."""
    net = QueryNet(8, links=STAR[:7], defaults={"f": 8, "r": 12, "authorised": (103,)})
    net.run(1000)
    net.parted = lambda a, b: a == 0  # node 0 says nothing more: no answer of it is ever acknowledged
    node = net.nodes[0]
    peers = node.stack.peers
    flags = 16 * peers.index(104) + 15
    peers._array[flags] |= 4  # a guest
    for source, origin, expected in (
        (1, 5001, OK),
        (1, 5002, OK),
        (1, 5003, BUSY),
        (1, 103, BUSY),
        (2, 102, BUSY),
        (4, 103, BUSY),
        (3, 103, OK),
        (5, 103, BUSY),
    ):
        assert open_query(net, source, 0, seq=900 + source, origin=origin) == expected, (source, origin)
    peers._array[flags] -= 4
    assert node.queries.start(node.clock(), COUNT, 0, None)
    assert not node.queries.start(node.clock(), COUNT, 0, None)
    net.run(40000)
    net.parted = None
    query = net.ask(0, COUNT)
    assert query.contributors == 8


def test_an_answer_that_is_too_much_for_who_asked():
    """What on_answer raises is counted, and time goes on."""
    net = QueryNet(2, links=((0, 1),))
    node = net.nodes[0]

    def fail(query):
        raise ValueError("no text")

    query = node.queries.start(node.clock(), COUNT, 0, fail)
    net.run(40000)
    assert node.stack.relay.faults == 1 and str(node.stack.relay.fault) == "no text"
    assert query.contributors == 2 and not node.queries._all


def test_an_answer_to_no_function():
    """Who asks for what there is not gets faults, or a neighbour's rubbish, which is a field."""
    for function in (0, 12, 200, 255):
        net = QueryNet(2, links=((0, 1),))
        net.parted = lambda a, b: True
        node = net.nodes[0]
        query = node.queries.start(node.clock(), function, 0, None)
        wrong = reply(0, function, 1, bytes(8))
        assert post(net, 1, 0, REPLY, wrong, query.origin, query.seq) == FIELD
        assert post(net, 1, 0, REPLY, reply(0, function, 0, faults=1), query.origin, query.seq) == OK
        assert (query.contributors, query.faults) == (0, 2)


def test_who_may_ask_plainly():
    """The same as for all: solicit-response is for authorised origins, and those ask by themselves."""
    net = QueryNet(3, links=((0, 1), (0, 2)), defaults={"authorised": (101,)})
    tap = Tap(net)
    for source, origin, exchange, expected in (
        (2, 102, SOLICIT, ORIGIN),
        (2, 101, SOLICIT, ORIGIN),
        (2, 101, REQUEST, ORIGIN),
        (2, 102, 1, FIELD),
        (2, 102, 4, FIELD),
        (2, 102, REQUEST, OK),
        (1, 101, SOLICIT, OK),
    ):
        asked = bytearray(10)
        pack_into(">BBBHBHH", asked, 0, QUERY, exchange, SUM, 5, 0, 0, 3000)
        assert post(net, source, 0, ASK, asked, origin, 7) == expected, (source, origin, exchange)
    net.run(2000)
    assert [target for source, target, _ in tap.of(REPLY)] == [2, 1] and net.nodes[0].asked == 2


def test_an_answer_that_waits_keeps_its_place():
    """What is done makes room, the oldest first: not what has closed and waits for the jitter of its answer."""
    net = QueryNet(4, links=STAR[:3], defaults={"f": 8, "r": 12})
    for _ in range(4):
        assert net.ask(1, COUNT).contributors == 4
        net.run(2000)
    for k in range(24):
        found = []
        for i in (1, 2):
            node = net.nodes[i]
            assert node.queries.start(node.clock(), COUNT, 0, found.append, timeout_ms=15000)
            net.run(50 * k)
        net.run(5000)
        counts = [query.contributors for query in found]
        assert counts == [4, 4], counts


def test_again_and_again():
    from gossip.repeat import Repeat

    net = QueryNet(3, links=((0, 1), (1, 2)))
    found = []
    node = net.nodes[0]
    repeat = Repeat(node.queries, 60000, node.clock(), SUM, 5, found.append, timeout_ms=5000)
    for _ in range(3000):
        repeat.tick(node.clock())
        net.run(TICK_MS * 2)
    assert [(query.contributors, query.value) for query in found] == [(3, (303,))] * 4
    assert repeat.missed == 0


# -- row 21 -------------------------------------------------------------------------------------------------


def test_crashed_and_slow():
    """A tenth is dead, one dies while it goes on, a quarter is lost: whose path is whole is counted, and the answer
    says that it is not complete."""
    net = QueryNet(30, seed=11, loss=250)
    for k in (7, 17, 27):
        net.nodes[k].crash()
    found = []
    node = net.nodes[0]
    query = node.queries.start(node.clock(), SUM, 0, found.append, f=6)
    net.run(500)
    net.nodes[9].crash()
    net.run(14000)
    parents = {}
    for one in net.nodes:
        if one.alive and one.asked:
            parents[one.number] = one.queries._all[query.origin, query.seq].parent
    net.run(2000)
    assert found == [query] and query.missing() >= 3
    whole = 0
    for number in parents:
        while parents.get(number):
            number = parents[number]
        whole += number == 100
    assert query.contributors >= whole > 1 and query.contributors <= len(parents) + 1
    assert len(parents) >= 20


# -- what is wrong --------------------------------------------------------------------------------------------


def test_noise_of_an_insider():
    """Payloads at random, with a good seal: nothing raises, nothing is added to what is counted, memory is flat."""
    net = QueryNet(3, links=((0, 1), (1, 2)), jobs={})
    net.loss = 1000  # nothing but what is handed over here
    node = net.nodes[0]
    query = node.queries.start(node.clock(), HELD, 5, lambda query: None, timeout_ms=120000)
    size = {DATA: 10, ACK: 10, REPLY: 0, ASK: 10, 10: 18}
    used = 0
    for k in range(1500):
        kind = (DATA, ACK, REPLY, ASK, 10)[k % 5]
        noise = bytearray([net.random(256) for _ in range(size[kind] or 8 + net.random(65))])
        if kind == DATA:
            noise[0], noise[1] = QUERY, REQUEST
        seq = query.seq if kind in (ACK, REPLY) else 1000 + k
        if kind == ACK:
            pack_into(">II", noise, 0, query.origin, seq)
        if kind == REPLY and k % 2:
            noise[1] = HELD
        post(net, 1, 0, kind, noise, query.origin if seq == query.seq else 101, seq)
        net.run(40)
        if k == 500:
            gc.collect()
            used = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
    gc.collect()
    assert not used or gc.mem_alloc() < used + 3000
    assert query.faults <= 65535 and query.contributors <= 65535 and query.missing() <= 65535
    assert len(node.queries._all) <= 4 and len(node.needs._told) <= 64
    assert sum(node.counters()) == 1500


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        print(name)
        test()
        gc.collect()

assert quantity.MOST == 2**47 - 1
