"""A broker that owes an acknowledgement: how long its silence is borne, and what is sent again for it."""

import gc

import fake_network
from fake_network import Peer, published
from fake_storage import METER, UNTIMED, Node, Storage

gc.threshold(30000)  # else what stays lies scattered, and nothing large finds room on 32 bits


def slow(answer_ms, again_ms=5000, window=16):
    """-> (node of fake_network, node of fake_storage, Peer): a broker that answers so late."""
    store = Node(Storage(), hold_ms=20000)
    fake_network.plain_outbox = lambda *args, **options: store.box
    came = {}

    def choose(pids):
        for pid in pids:
            came.setdefault(pid, node.now)
        done = [pid for pid in pids if node.now - came[pid] >= peer.answer_ms]
        for pid in done:
            del came[pid]
        return done

    peer = Peer(choose)
    peer.answer_ms = answer_ms
    node = fake_network.Node(peer, again_ms=again_ms, window=window)
    return node, store, peer


def doubts(node):
    """[when the broker was doubted], from now on."""
    found = []
    again = node.outbox.again

    def noted(now, most_ms, lost=True):
        if not lost:
            found.append(node.now)
        again(now, most_ms, lost)

    node.outbox.again = noted
    return found


def a_slow_broker():
    """One that needs seconds for an answer is sent each record once, and is not doubted for ever."""
    for answer_ms in (2200, 3000, 4500):
        node, store, peer = slow(answer_ms)
        found = doubts(node)
        for i in range(24):
            store.box.keep(METER, b"%03d" % i * 100, 0)
        store.frames(range(70), kind=UNTIMED)
        node.until(lambda store=store: not store.box.waiting, 60000)
        sent = published(node.sock.wire, b"a/METER")
        assert len(sent) == 24 and len(published(node.sock.wire, b"a/PMU-UNTIMED")) < 10, len(sent)
        assert len(found) <= 2 and node.link.connections == 1, found


def a_dead_broker():
    """Doubt comes at 2 s of silence that is owed, later only for half a minute after a broker proved to be slow;
    what was in flight goes again when the end is certain."""
    node, store, peer = slow(10)
    found = doubts(node)
    node.until_open()
    node.run(500)
    peer.answer_ms = 3000
    began = node.now
    for i in range(3):
        store.box.keep(METER, b"slow %d" % i, 0)
        node.run(7000)
    assert len(found) == 1 and 1980 <= found[0] - began <= 2050, (began, found)
    peer.answers = peer.pongs = False
    began = node.now
    store.box.keep(METER, b"in flight", 0)
    node.until_closed()
    assert len(found) == 2 and 3980 <= found[1] - began <= 4050, (began, found)
    assert store.box.durable_waiting >= 1
    peer.answers = peer.pongs = True
    peer.answer_ms = 10
    node.until(lambda: node.link.connections == 2)
    node.until(lambda: not store.box.durable_waiting)
    assert b"in flight" in [payload for _, _, payload in published(node.sock.wire, b"a/METER")]
    heard_ms = node.session.heard_ms
    node.until(lambda: node.session.heard_ms != heard_ms)  # a ping: the next is seconds away
    peer.answer_ms = 3000
    began = node.now
    store.box.keep(METER, b"slow again", 0)
    node.run(7000)
    assert len(found) == 3 and 1980 <= found[2] - began <= 2050, (began, found)


def a_stall_is_forgotten():
    """Half a minute after a broker was slow it is doubted as soon as at first."""
    node, store, peer = slow(10)
    found = doubts(node)
    node.until_open()
    for answer_ms, pause_ms in ((2500, 20000), (4500, 40000)):
        peer.answer_ms = answer_ms
        store.box.keep(METER, b"slow", 0)
        node.run(6000)
        peer.answer_ms = 10
        node.run(pause_ms)
    assert len(found) == 2 and node.link.connections == 1, found
    peer.answers = peer.pongs = False
    began = node.now
    store.box.keep(METER, b"in flight", 0)
    node.until_closed()
    assert len(found) == 3 and 1980 <= found[2] - began <= 2050, (began, found)


def durable_records_do_not_hold_up_what_is_live():
    """On a link that just carries what is live, one of many in turn is all that they take."""
    for window, answer_ms in ((1, 10), (2, 20), (16, 300)):
        node, store, peer = slow(answer_ms, window=window)
        node.until_open()
        for i in range(100):
            store.box.keep(METER, b"%03d" % i, 0)
        due = [node.now]

        def measure(store=store, node=node, due=due):
            if node.now >= due[0]:
                due[0] += 20
                store.now = node.now
                store.frame(due[0])

        node.run(10000, measure)
        assert store.box.spilled == 0 and len(store.ring) <= 50, (window, store.box.spilled)
        assert store.box.durable_waiting < 100


def a_link_too_slow_for_what_is_live():
    """Live frames fill the window all the time: durable records, and STATUS, have their turn all the same."""
    node, store, peer = slow(2200)
    node.until_open()
    for i in range(4):
        store.box.keep(METER, b"%03d" % i, 0)
    due = [node.now]

    def measure():
        if node.now >= due[0]:
            due[0] += 20
            store.now = node.now
            store.frame(due[0])

    for _ in range(8):
        node.run(5000, measure)
        assert node.link.report("online")
    assert len(store.ring) > 30 and store.box.spilled > 500, "it was too slow"
    assert store.box.durable_waiting == 0 and len(published(node.sock.wire, b"a/METER")) == 4
    assert node.link.connections == 1


for test in (
    a_slow_broker,
    a_dead_broker,
    a_stall_is_forgotten,
    durable_records_do_not_hold_up_what_is_live,
    a_link_too_slow_for_what_is_live,
):
    test()
    gc.collect()
