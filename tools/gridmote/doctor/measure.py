"""What the doctor tries at a broker: each function returns a dict of facts, and cleans up what it made.

A fact of None is one that could not be had. `judge()` of findings.py says what they mean.
"""

import itertools
import secrets
import statistics
import time

from gridmote.doctor.visit import V5, V311, WAIT_S, Refused, Silent, Visit

KEEPALIVE_S = 10  # what nodes ask for unless told otherwise
NO_LIMIT = 65535  # of the keep-alive
DATA_TYPES = ("PMU", "PMU-BACKFILL", "PMU-UNTIMED", "METER", "EVENT", "STATUS", "CMD")
OWN_TYPE = "DOCTOR"  # for what must not reach an adapter or an archive, which subscribe to the others
SIZES = (1_264, 65_600)  # bytes: a message of backlog; the largest frame; both with the head of a message
QUEUE = 4_000  # messages for an absent subscriber
_FRAME = 52  # bytes of one
_QUEUE_S = 9.0  # at most for sending them
_SESSION_S = 7 * 24 * 3600  # what gridmote pdc asks for
_WINDOW = 150  # messages that show how many a broker sends without PUBACK
_PAIRS = 15
_PAIR_S = 0.5
_UNSUPPORTED = (0x84, 0x01)  # protocol version, in MQTT 5 and 3.1.1
_NOT_CLEARED = "it is still there after an empty one"


class Examination:
    """One broker, examined by methods in their order; `facts` collects what they find.

    place: first three levels of the topics used. Raises what Visit raises only where nothing else makes sense
    without an answer: in `greet`. Everywhere else a broken connection is a fact.
    """

    def __init__(self, login, place=None):
        self.login = login
        self.name = "gridmote-doctor-" + secrets.token_hex(4)
        self.place = place or f"gridmote-doctor/check/{self.name[-8:]}"
        self.facts = {}
        self.version, self.keepalive_s, self.qos = V5, KEEPALIVE_S, 1
        self._numbers = itertools.count()

    def topic(self, data_type):
        return f"{self.place}/{data_type}/{self.name}"

    def visit(self, suffix, version=None, **options):
        """A Visit under a client id that belongs to this examination."""
        return Visit(self.login, f"{self.name}-{suffix}", version or self.version,
                     keepalive_s=self.keepalive_s, **options)

    def greet(self):
        """MQTT 5 and 3.1.1: OSError, Refused or Silent when there is no way in."""
        granted, v5 = {}, ""
        try:
            began_s = time.monotonic()
            self.keepalive_s = NO_LIMIT - 1
            with self.visit("v5", V5, expiry_s=_SESSION_S) as visit:
                granted = visit.granted
                connect_s = time.monotonic() - began_s
            # below the limit: mosquitto 2.0.21 throws out whoever uses just it
            self.keepalive_s = max(1, min(KEEPALIVE_S, granted.get("ServerKeepAlive", NO_LIMIT) - 1))
            with self.visit("v5", V5):  # its session, which would stay for a week
                pass
        except (Refused, Silent) as error:
            if isinstance(error, Refused) and error.code not in _UNSUPPORTED:
                raise
            v5, self.version, self.keepalive_s = str(error), V311, KEEPALIVE_S
        v311 = ""
        try:
            began_s = time.monotonic()
            with self.visit("v311", V311):
                connect_s = time.monotonic() - began_s
        except (Refused, Silent) as error:
            if v5:
                raise
            v311 = str(error)
        self.qos = min(1, granted.get("MaximumQoS", 1))
        expiry_s = granted.get("SessionExpiryInterval", _SESSION_S)
        self.facts |= {
            "v5_refused": v5, "v311_refused": v311, "connect_s": connect_s,
            "keepalive_s": None if v5 else granted.get("ServerKeepAlive", NO_LIMIT),
            "maximum_qos": granted.get("MaximumQoS", None if v5 else 2),
            "retain_available": None if v5 else bool(granted.get("RetainAvailable", 1)),
            "packet_size": None if v5 else granted.get("MaximumPacketSize", 0),
            "receive_maximum": None if v5 else granted.get("ReceiveMaximum", 65535),
            "expiry_s": None if v5 else expiry_s,
        }

    def rights(self):
        """Which topics of the design can be published, and arrive. Empty messages, which adapters ignore."""
        try:
            with self.visit("rights") as visit:
                results = {}
                for data_type in (*DATA_TYPES, OWN_TYPE):
                    topic = self.topic(data_type)
                    granted = visit.subscribe(topic)[0]
                    trouble = visit.publish(topic, b"", self.qos)
                    results[data_type] = trouble or (f"subscription: {granted}" if type(granted) is str else None)
                    if visit.closed:
                        break

                def outstanding():
                    came = {message.topic for message in visit.heard}
                    return [t for t, trouble in results.items() if trouble is None and self.topic(t) not in came]
                visit.wait(lambda: not outstanding())
                for data_type in outstanding():
                    results[data_type] = "acknowledged, but does not arrive"
                self.facts["rights"] = {data_type: trouble or "" for data_type, trouble in results.items()}
        except (OSError, Refused, Silent) as error:
            self.facts["rights"] = {DATA_TYPES[0]: str(error)}

    @property
    def allowed(self):
        """Whether what follows can be tried: without the right to one's own topics nothing would arrive."""
        return self.facts["rights"].get(OWN_TYPE) == ""

    def retained(self):
        """A message retained on a topic, read by a new subscriber, removed; as nodes do it, by MQTT 3.1.1."""
        if self.facts["retain_available"] is False:
            self.facts["retained"] = "CONNACK says that it has none"
            return
        topic, version = self.topic(OWN_TYPE), self._v311()
        trouble = ""
        try:
            with self.visit("retain", version) as visit:
                trouble = visit.publish(topic, b"retained", self.qos, retain=True)
            if not trouble and not self._retained_on(topic, version):
                trouble = "it does not reach a new subscriber"
            with self.visit("retain", version) as visit:
                visit.publish(topic, b"", self.qos, retain=True)
            if not trouble and self._retained_on(topic, version, most_s=0.3):
                trouble = _NOT_CLEARED
        except (OSError, Refused, Silent) as error:
            trouble = trouble or str(error)
        self.facts["retained"] = trouble

    def _v311(self):
        return V311 if not self.facts["v311_refused"] else V5

    def _retained_on(self, topic, version, most_s=WAIT_S):
        with self.visit("reader", version) as visit:
            visit.subscribe(topic)
            return visit.wait(lambda: any(message.retained for message in visit.heard), most_s)

    def sizes(self):
        """The largest of SIZES that comes through, and what happens to the next."""
        largest, trouble = 0, ""
        for size in SIZES:
            try:
                trouble = self._passes(size)
            except (OSError, Refused, Silent) as error:
                trouble = str(error)
            if trouble:
                break
            largest = size
        self.facts |= {"size": largest, "size_trouble": trouble}

    def _passes(self, size):
        limit = self.facts["packet_size"]
        if limit and size > limit:
            return f"CONNACK allows packets of {limit} bytes"
        topic = self.topic(OWN_TYPE)
        payload = bytes(size - len(topic) - 10)
        with self.visit("size") as visit:
            visit.subscribe(topic)
            trouble = visit.publish(topic, payload, self.qos)
            if not trouble and not visit.wait(lambda: visit.heard):
                trouble = "acknowledged, but does not arrive"
            return trouble

    def session(self):
        """A persistent session as nodes have it (MQTT 3.1.1): kept? And how much comes without PUBACK?"""
        version, topic = self._v311(), self.topic(OWN_TYPE)
        self.facts |= {"session_kept": None, "window": None}
        keep = {"version": version, "keep": True, "expiry_s": 60}
        try:
            with self.visit("session", **keep) as visit:
                visit.subscribe(topic)
            if self.qos:
                with self.visit("sender") as sender:
                    for n in range(_WINDOW):
                        last = sender.send(topic, bytes([n]), 1)
                    sender.wait(lambda: sender.acknowledged(last) is not None or sender.closed)
            with self.visit("session", hold=True, **keep) as visit:
                self.facts["session_kept"] = visit.session_present
                if self.qos and visit.session_present:
                    visit.wait_quiet(0.3, 2.0, enough=_WINDOW)
                    self.facts["window"] = len(visit.heard)
        except (OSError, Refused, Silent):
            pass
        finally:
            self._forget("session", version)

    def _forget(self, suffix, version):
        """Removes a persistent session with all that waits for it."""
        try:
            with self.visit(suffix, version):
                pass
        except (OSError, Refused, Silent):
            self.facts.setdefault("left_behind", []).append(f"session {self.name}-{suffix}")

    def queue(self):
        """How many of QUEUE messages an absent subscriber finds, and how fast the broker took them."""
        self.facts |= {"queued": None, "queue_sent": 0, "queue_rate": None}
        if not self.qos:
            return
        topic, keep = self.topic(OWN_TYPE), {"keep": True, "expiry_s": 120}
        try:
            with self.visit("queue", **keep) as visit:
                visit.subscribe(topic)
            with self.visit("sender", self._v311()) as sender:
                self._send_many(sender, topic)
            with self.visit("queue", hold=True, **keep) as visit:
                numbers, done = set(), 0
                while len(numbers) < self.facts["queue_sent"]:
                    visit.wait_quiet(0.7, 5.0, enough=done + 1)
                    if len(visit.heard) == done:
                        break
                    some = visit.heard[done:]
                    done += len(some)
                    numbers.update(int.from_bytes(m.payload[:4], "big") for m in some)
                    visit.acknowledge(some)
            self.facts["queued"] = len(numbers)
        except (OSError, Refused, Silent):
            pass
        finally:
            self._forget("queue", self.version)

    def _send_many(self, sender, topic):
        """QoS 1, at most 200 unacknowledged; counts only what was acknowledged."""
        began_s, open_ids, sent = time.monotonic(), [], 0
        while sent < QUEUE and time.monotonic() - began_s < _QUEUE_S and not sender.closed:
            for number in range(sent, min(sent + 200, QUEUE)):
                open_ids.append(sender.send(topic, number.to_bytes(4, "big") + bytes(_FRAME - 4), 1))
            sender.wait(lambda: all(sender.acknowledged(i) is not None for i in open_ids) or sender.closed)
            acknowledged = [i for i in open_ids if sender.acknowledged(i) == ""]
            sent += len(acknowledged)
            if len(acknowledged) < len(open_ids):
                break
            open_ids.clear()
        self.facts |= {"queue_sent": sent, "queue_rate": sent / (time.monotonic() - began_s)}

    def nodelay(self):
        """The time between two messages that leave the broker together, when our TCP puts its answer off."""
        topic, gaps = self.topic(OWN_TYPE), []
        self.facts["pair_gap_s"] = None
        try:
            with self.visit("hearer") as hearer, self.visit("sender") as sender:
                hearer.subscribe(topic)
                for _ in range(_PAIRS):
                    if not hearer.delay_acks():
                        return
                    there = len(hearer.heard)
                    for _ in range(3):  # the first may still find TCP in a hurry
                        sender.send(topic, b"%d" % next(self._numbers), 0)
                    if hearer.wait(lambda n=there + 3: len(hearer.heard) >= n, _PAIR_S):
                        gaps.append(hearer.heard[there + 2].at_s - hearer.heard[there].at_s)
        except (OSError, Refused, Silent):
            return
        if len(gaps) > _PAIRS // 2:
            self.facts["pair_gap_s"] = statistics.median(gaps)

    def system(self):
        """What the broker says about itself on $SYS, as mosquitto and some others do."""
        names = {"version": "version", "uptime": "uptime", "dropped": "publish/messages/dropped",
                 "absent": "clients/disconnected"}
        self.facts["system"] = told = {}
        try:
            with self.visit("system") as visit:
                visit.subscribe(*(f"$SYS/broker/{topic}" for topic in names.values()))
                visit.wait(lambda: len(visit.heard) == len(names), 1.0)
                for name, topic in names.items():
                    for message in visit.heard:
                        if message.topic == f"$SYS/broker/{topic}":
                            told[name] = message.payload[:80].decode(errors="replace")
        except (OSError, Refused, Silent):
            pass
