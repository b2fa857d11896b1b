"""The outbox's promises, one by one: order, acknowledgements, thinning, room, failures."""

import gc

from fake_storage import (
    CONFIG,
    EVENT,
    FRAME,
    METER,
    SOC,
    UNTIMED,
    Node,
    Storage,
    config,
    numbers,
    unthinned,
)

gc.threshold(30000)  # else what stays lies scattered, and nothing large finds room on 32 bits


def live_stays_in_ram():
    """While all is acknowledged within a second nothing is written; what is not, is spilled, oldest first."""
    node = Node(Storage())
    writes = len(node.storage.writes)
    for n in range(3000):
        node.frame(n)
        node.box.ack(node.box.next())
        node.now += 20
        node.box.tend(node.now)
    assert node.box.spilled == 0 and len(node.storage.writes) == writes
    node.frames(range(40))  # 0.8 s
    assert node.box.spilled == 0 and len(node.ring) == 40
    node.now += 300  # the first of them 1.1 s
    node.tend(1)
    assert node.box.spilled == 6
    assert numbers(node.drain()) == list(range(6))


def late_acknowledgements():
    node = Node(Storage(), window=8)
    box = node.box
    for n in range(8):
        node.frame(n)
    seqs = [box.next() for _ in range(8)]
    node.now += 1000
    node.tend()
    assert box.spilled == 8 and not box.holds(seqs[0])
    for seq in seqs[1:6]:
        box.ack(seq)
        box.ack(seq)
    assert numbers(node.drain()) == [0, 6, 7] and box.waiting == 0 and box.dropped == 0
    # they are of this boot: the same numbers of another mean nothing
    for n in range(8):
        node.frame(n)
    seqs = [box.next() for _ in range(8)]
    node.now += 1000
    node.tend()
    box.save()
    other = Node(node.storage)
    for seq in seqs:
        other.stream.remember(seq)
    assert numbers(other.drain()) == list(range(8))


def messages_in_flight():
    node = Node(Storage(), payload=300)
    node.frames(range(200))
    box, backlog = node.box, node.backlog
    four = [node.take() for _ in range(4)]
    assert node.take() is None and len({m[2] for m in four}) == 4 and max(m[2] for m in four) <= -2
    assert [len(m[1]) for m in four] == [260] * 4
    waiting = box.flash_waiting
    for i in (3, 1, 2):
        backlog.ack(four[i][2])
    backlog.ack(12345)
    assert box.flash_waiting == waiting
    assert node.take() is None  # the place of the first is not free before it
    backlog.rewind()
    backlog.ack(four[0][2])  # of a connection that is gone
    assert box.flash_waiting == waiting
    assert numbers([m[:2] for m in [node.take(), node.take()]]) == list(range(10))
    backlog.rewind()
    assert numbers(node.drain()) == list(range(152))
    assert box.flash_waiting == 0 and len(box) == 48


def durable_first():
    node = Node(Storage())
    node.frames(range(200))
    node.box.keep(EVENT, b"event", node.now)
    node.box.keep(METER, b"meter", node.now)
    got = node.drain()
    assert got[:2] == [(EVENT, b"event"), (METER, b"meter")] and got[2][0] == FRAME
    node.box.keep(METER, bytes(1024), node.now)
    assert node.drain() == [(METER, bytes(1024))]
    try:
        node.box.keep(METER, bytes(1025), node.now)
    except ValueError as e:
        assert "1025" in str(e)
    else:
        raise AssertionError("kept what is too large")


def thinned():
    """Past half full every 5th, then 50th, 500th, 5000th; all of it around a trigger; counted and told."""
    node = Node(Storage(), blocks=(160, 32), around_ms=1000)
    box = node.box
    events, stages = [], []
    n = 0
    while len(stages) < 3 and n < 100000:
        node.frames(range(n, n + 50))
        n += 50
        news = box.news()
        while news:
            events.append((n, news))
            news = box.news()
        if box.thinning.every > 1 and box.thinning.every not in stages:
            stages.append(box.thinning.every)
    assert stages == [5, 50, 500] and box.dropped == 0, stages
    assert abs(events[0][0] - 80 * 63) < 250 and events[0][1]["every"] == 5 and events[0][1]["thinned"] == 0
    assert events[0][1]["to"] is None and abs(events[0][1]["from"] - SOC - events[0][0] // 50) <= 2
    ended = [news for _, news in events if news["thinned"]]
    assert [news["every"] for news in ended] == [5, 50]
    for news in ended:
        assert abs(news["thinned"] - news["kept"] * (news["every"] - 1)) <= news["every"], news
        assert news["from"] < news["to"]
    thinned = box.thinned
    node.box.trigger(node.now)
    node.frames(range(n, n + 50))  # the ring holds one second: what was made before the trigger counts, too
    node.tend()
    assert box.thinned == thinned, box.thinned - thinned
    node.frames(range(n + 50, n + 300))
    got = numbers(node.drain())
    assert got[:4000] == list(range(4000)) and set(range(n - 40, n + 40)) <= set(got)
    assert len(got) + box.thinned + len(box) == n + 300
    node.frames(range(200))
    assert box.thinning.every == 1


def full_log():
    """The oldest segment goes, and is counted; durable records go last."""
    node = unthinned(Node(Storage(), blocks=(16, 4)))
    box = node.box
    for i in range(5):
        box.keep(METER, b"%d" % i, 0)
    node.frames(range(3000))
    assert box.thinned == 0 and box.flash_percent <= 100 and box.stream.waiting >= 15 * 58
    assert box.dropped + box.stream.waiting == 3000 - 48
    news = box.news()
    assert news["event"] == "dropped" and news["reason"] == "log full" and news["count"] == box.dropped
    assert news["from"] == SOC and news["to"] == SOC + (box.dropped * 20) // 1000, news
    assert box.news() is None
    got = node.drain()
    assert numbers(got) == list(range(box.dropped, 3000 - 48)) and got[0] == (METER, b"0")
    # durable records take the stream's room, and only then their own oldest
    node.frames(range(2000))
    for i in range(200):
        assert box.keep(METER, b"%04d" % i * 200, node.now)
        assert box.stream.blocks + box.durable.blocks <= 20
    assert box.durable.dropped > 0 and box.stream.waiting <= 63
    got = [int(data[:4]) for kind, data in node.drain() if kind == METER]
    assert got == list(range(box.durable.dropped, 200))


def file_system_full():
    """Less room than the budget says: the oldest goes, the newest is taken, no error stays."""
    storage = Storage(limit=12 * 4096)
    node = Node(storage, blocks=(32, 8))
    node.frames(range(3000))
    for _ in range(20):
        assert node.box.keep(METER, bytes(900), node.now)
    assert node.box.storage == "ok" and node.box.durable_waiting == 20
    got = numbers(node.drain())
    assert got[-1] == 2951 and got == list(range(got[0], 2952)) and node.box.stream.dropped == got[0]


def storage_fails_and_comes_back():
    storage = Storage()
    node = Node(storage)
    box = node.box
    storage.fail, storage.torn = 5, 1000
    node.frames(range(110))
    assert box.storage.startswith("storage: ") and box.flash_waiting == 58 and len(box) == 52
    tries = len(storage.writes)
    node.tend(100)
    assert len(storage.writes) == tries  # not again before 10 s have passed
    for i in range(18):
        assert box.keep(EVENT, b"event %02d" % i, node.now) is False
    assert box.durable_waiting == 16 and box.durable.dropped == 2
    assert box.durable.lost.count == 2
    assert [data for kind, data in node.drain() if kind == EVENT] == [b"event %02d" % i for i in range(2, 18)]
    assert box.keep(EVENT, b"one more", node.now) is False
    in_flight = node.take()
    assert in_flight[:2] == (EVENT, b"one more")
    storage.fail = 0
    node.now += 10000
    node.tend(20)
    assert box.storage == "ok" and box.durable_waiting == 1 and not box.durable.ram
    node.backlog.ack(in_flight[2])  # it went to flash meanwhile, and goes once more
    assert (EVENT, b"one more") in node.drain()
    assert box.waiting == 0 and list(storage.files) == ["boot"], storage.names()


def without_storage():
    node = Node(None)
    box = node.box
    assert box.storage == "none", box.storage
    node.frames(range(300))
    assert box.dropped == 300 - 64 - 58 and len(box) == 64 and not box.save()
    assert box.keep(METER, b"in RAM", 0) is False
    got = node.drain()
    assert got[0] == (METER, b"in RAM") and numbers(got)[:58] == list(range(58))
    node.frames(range(300, 310), kind=UNTIMED)
    node.now += 1000
    node.tend()
    assert numbers(node.drain())[-1] == 309
    assert box.news()["reason"] == "not sent in time" and box.capacity == 0 and box.flash_percent == 0


def broker_forgets():
    node = Node(Storage(), slots=128, high_water=100)
    box = node.box
    for n in range(300):
        node.frame(n)
        box.ack(box.next())
        node.now += 20
        box.tend(node.now)
    box.again(node.now, 1000)
    node.tend(40)
    got = numbers(node.drain())
    assert 220 <= got[0] <= 250 and got == list(range(got[0], 300)) and len(box) == 0
    box.again(node.now, 1 << 20)  # all that is there; what went again may be forgotten again
    node.tend(60)
    assert numbers(node.drain()) == list(range(173, 300))


def broker_forgets_twice():
    """A second time before the first is dealt with: doubt about a silent broker, then its end."""
    node = Node(Storage(), slots=128, high_water=100)
    for n in range(100):
        node.frame(n)
        node.box.ack(node.box.next())
        node.now += 10
        node.box.tend(node.now)
    node.box.again(node.now, 2000)
    node.tend(2)
    node.box.again(node.now, 20)
    assert node.box.save()  # and the end of the node
    assert numbers(Node(node.storage).drain()) == list(range(100))


def late_and_forgotten():
    """Answered after seconds, then forgotten: it is the time of the answer that counts."""
    node = Node(Storage(), slots=128, high_water=100, window=32, hold_ms=20000)
    seqs = []
    for n in range(80):
        node.frame(n)
        if n < 32:
            seqs.append(node.box.next())
        node.now += 100
        node.box.tend(node.now)
    for seq in seqs:
        node.box.ack(seq)
    node.box.again(node.now, 1000)
    node.tend(60)
    assert set(numbers(node.drain())) == set(range(80 - len(node.ring)))
    # out of the block in RAM, in which nothing waits any more
    node.frames(range(80, 110), 100)
    passed = set(numbers(node.drain()))
    node.box.again(node.now, 100)
    node.tend(60)
    assert passed and passed <= set(numbers(node.drain()))


def broker_forgets_the_backlog():
    """What was acknowledged of the logs stays on flash for a while and goes once more, at most four times."""
    node = Node(Storage(), hold_ms=3000)
    box = node.box
    node.frames(range(1300))
    box.keep(METER, b"meter", node.now)
    for _ in range(40):  # more than a segment of them
        node.backlog.ack(node.take()[2])
        node.tend(1)
    assert box.durable_waiting == 0 and "d00000000" in node.storage.files
    node.now += 2000
    box.again(node.now, 2500)
    assert box.durable_waiting == 1 and box.flash_waiting == box.spilled, (box.flash_waiting, box.spilled)
    got = node.drain()
    assert got[0] == (METER, b"meter") and numbers(got)[:1200] == list(range(1200))
    for _ in range(3):
        box.again(node.now, 2500)
        assert node.drain()[0] == (METER, b"meter")
    box.again(node.now, 2500)
    got = node.drain()
    assert METER not in [kind for kind, _ in got] and 0 not in numbers(got)
    assert box.waiting == len(box) and len(node.storage.files) > 1 and box.stream.held() > 0
    node.now += 3000
    node.tend()
    assert box.stream.held() == 0 and "d00000000" not in node.storage.files
    # segments that are held are no reason to thin, and go first when there is need
    node = Node(Storage(), blocks=(16, 4), hold_ms=1 << 20)
    for i in range(30):
        node.frames(range(63 * i, 63 * i + 63))
        node.drain()
    assert node.box.thinned == 0 and node.box.dropped == 0 and node.box.flash_percent <= 100
    # what was sent of the block in RAM
    node = Node(Storage(), hold_ms=3000)
    node.frames(range(600))
    while node.stream.waiting > 20:
        node.backlog.ack(node.take()[2])
    node.box.again(node.now, 1 << 20)
    spilled = node.box.spilled
    assert node.box.flash_waiting == spilled and numbers(node.drain())[:spilled] == list(range(spilled))
    assert node.box.flash_waiting == 0


def half_sent_and_ahead():
    """-> (Node, numbers acknowledged): late answers to live records have carried its reader into the second segment
    while the end of the first is under way."""
    node = Node(Storage(), slots=1024, high_water=1000, window=64, hold_ms=1 << 20)
    seqs = []
    for n in range(560):  # past the first segment, of 502
        node.frame(n)
        seqs.append(node.box.next())
    node.now += 1000
    node.tend(200)
    acked = set()
    while len(acked) < 440:
        message = node.take()
        acked.update(numbers([message[:2]]))
        node.backlog.ack(message[2])
    for seq in seqs[500:530]:
        node.box.ack(seq)
    while node.take():  # on its way, and the reader is in the second segment
        pass
    assert node.backlog._stream.number == 1 and acked
    node.box.backlog.again(node.now, 5000)
    return node, acked


def answers_out_of_turn():
    """The first segment goes again all the same; and if it has to go unsent, that is a drop."""
    node, acked = half_sent_and_ahead()
    assert acked <= set(numbers(node.drain()))
    node, acked = half_sent_and_ahead()
    assert node.stream.drop() and node.box.dropped >= 502 - len(acked)


def no_copies_into_a_full_log():
    """What a broker had does not take the room of what none has, and its loss is not counted as one."""
    node = Node(Storage(), slots=128, high_water=100, blocks=(32, 16), hold_ms=1 << 20)
    while node.box.thinning.every < 5000:
        node.frames(range(500))
    blocks = node.stream.blocks
    for _ in range(20):
        for n in range(100):
            node.frame(n)
            node.box.ack(node.box.next())
            node.now += 20
            node.tend(1)
        node.box.again(node.now, 5000)
        node.tend(40)
    assert node.stream.blocks <= blocks + 2 and node.box.dropped == 0


def flapping():
    """Connections that live for three messages each: what goes again every time does not hold up the rest."""
    node = Node(Storage(), hold_ms=1 << 20)
    node.frames(range(1500))
    found, connections = set(), 0
    while node.box.flash_waiting:
        connections += 1
        assert connections < 300
        for _ in range(3):
            message = node.take()
            if message:
                found.update(numbers([message[:2]]))
                node.backlog.ack(message[2])
        node.box.backlog.again(node.now, 5000)
        node.tend(1)
    assert found == set(range(node.box.spilled))


def doubt_on_a_standing_connection():
    """What goes again while the connection stands: the receiver still has the CFG-2 that it was sent last."""
    storage = Storage()
    first = Node(storage)
    first.frames(range(10))
    assert first.box.save()
    node = Node(storage, cfg=config(b"B"), hold_ms=5000)
    node.frames(range(10, 20))
    assert node.box.save()
    for waiting in [20] * 4 + [10]:  # the last time nothing is taken back, and yet what was said last is another's
        message = node.take()
        if message[0] == CONFIG:
            assert message[1] == config()
            node.backlog.ack(message[2])
            message = node.take()
        assert numbers([message[:2]]) == list(range(10))
        node.backlog.ack(message[2])
        node.box.again(node.now, 1000)
        assert node.box.waiting == waiting, node.box.waiting
    messages = node.drain()
    assert messages[0] == (CONFIG, config(b"B")) and numbers(messages) == list(range(10, 20))


for test in (
    doubt_on_a_standing_connection,
    flapping,
    answers_out_of_turn,
    no_copies_into_a_full_log,
    live_stays_in_ram,
    late_acknowledgements,
    messages_in_flight,
    durable_first,
    thinned,
    full_log,
    file_system_full,
    storage_fails_and_comes_back,
    without_storage,
    broker_forgets,
    broker_forgets_twice,
    late_and_forgotten,
    broker_forgets_the_backlog,
):
    test()
