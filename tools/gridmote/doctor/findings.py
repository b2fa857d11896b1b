"""What the facts of an examination mean for phasor data: each finding with its cost and its remedy."""

from collections import namedtuple

from gridmote.doctor.measure import DATA_TYPES, KEEPALIVE_S, NO_LIMIT, OWN_TYPE, QUEUE, SIZES

GOOD, BAD, NOTE, UNKNOWN = "good", "bad", "note", "unknown"
RATE = 50  # frames a second in which costs are told
_BRIDGED_S = 60  # an absence of the adapter that has to cost nothing
_WINDOW_LEAST = 100
_RATE_LEAST = 4 * RATE  # messages a second that one connection gets through
_NAGLE_S, _PROMPT_S = 0.02, 0.005  # Linux puts an acknowledgement off by 40 ms or more
_NODE_WINDOW = 32
_HOUR_S, _WEEK_S = 3600, 7 * 24 * 3600

# verdict: GOOD; BAD: costs data; NOTE: costs time or convenience; UNKNOWN: cannot tell. found, cost: sentences.
# mosquitto: what to change in its configuration; others: where to look at other brokers. "" where there is none.
Finding = namedtuple("Finding", "subject verdict found cost mosquitto others", defaults=("", "", ""))


def judge(facts):
    """[Finding] of the facts that an Examination collected, in the order of the examination."""
    parts = (_protocol, _keepalive, _qos, _rights, _retained, _size, _session, _expiry, _window, _queue, _nodelay,
             _receive_maximum, _system, _crash, _left_behind)
    return [finding for part in parts for finding in [part(facts)] if finding]


def _protocol(facts):
    if facts["v311_refused"]:
        return Finding("protocol", BAD, f"MQTT 3.1.1 is refused: {facts['v311_refused']}",
                       "no node can connect: they speak MQTT 3.1.1", "accept_protocol_versions 3, 4, 5 (from 2.1)",
                       "enable MQTT 3.1.1 on this listener")
    if facts["v5_refused"]:
        return Finding("protocol", NOTE, f"MQTT 3.1.1 only; 5 is refused: {facts['v5_refused']}",
                       "gridmote pdc needs --mqtt 3; what an ACL or a limit refuses shows as loss only",
                       "mosquitto 1.6 or later", "enable MQTT 5")
    return Finding("protocol", GOOD, f"MQTT 3.1.1 and 5; connecting takes {facts['connect_s'] * 1000:.0f} ms")


def _keepalive(facts):
    limit_s = facts["keepalive_s"]
    if limit_s is None:
        return Finding("keep-alive", GOOD, f"{KEEPALIVE_S} s, which nodes ask for, is accepted")
    if limit_s == NO_LIMIT:
        return Finding("keep-alive", GOOD, "no limit")
    if limit_s >= KEEPALIVE_S and facts["system"].get("version", "").endswith(" 2.0.21"):
        return Finding("keep-alive", BAD if limit_s == KEEPALIVE_S else NOTE, f"limit {limit_s} s",
                       "mosquitto 2.0.21 throws out, again and again, any client whose keep-alive is just that",
                       "no max_keepalive, or another version")
    if limit_s >= KEEPALIVE_S:
        return Finding("keep-alive", GOOD, f"limit {limit_s} s, nodes use {KEEPALIVE_S} s")
    return Finding("keep-alive", BAD, f"limit {limit_s} s, nodes ask for {KEEPALIVE_S} s",
                   "mosquitto refuses every node, whose MQTT 3.1.1 cannot be told a shorter one; others may cut it "
                   "off between two pings", "no max_keepalive",
                   f"allow {KEEPALIVE_S} s, or set broker.keepalive_s to {limit_s} or less in every node")


def _qos(facts):
    if facts["maximum_qos"] is None:
        return None  # MQTT 3.1.1 does not say; what follows shows it
    if facts["maximum_qos"] == 0:
        return Finding("QoS", BAD, "QoS 0 only", "every node is disconnected at its first frame, which is QoS 1",
                       "max_qos 2 (or no such line) for this listener", "allow QoS 1")
    return Finding("QoS", GOOD, f"up to {facts['maximum_qos']}; frames use 1")


def _rights(facts):
    refused = {data_type: why for data_type, why in facts["rights"].items() if why}
    theirs = [data_type for data_type in refused if data_type != OWN_TYPE]
    if theirs:
        whys = "; ".join(sorted({refused[data_type] for data_type in theirs}))
        return Finding("rights", BAD, f"{', '.join(theirs)}: {whys}",
                       "nothing of that kind reaches a subscriber, while MQTT 3.1.1 nodes get their PUBACK and "
                       "forget it. (A user who may only read, or only publish, cannot be examined)",
                       "acl_file: topic readwrite gridmote-doctor/# for the user of this examination; rules for "
                       "nodes and adapters are in `gridmote doctor --conf`", "its authorisation rules")
    if OWN_TYPE in refused:
        return Finding("rights", UNKNOWN, f"topics of the design pass, the one for bulk tests does not: "
                       f"{refused[OWN_TYPE]}", "queue, retained messages and sizes cannot be tried",
                       "acl_file: topic readwrite gridmote-doctor/#", "allow all levels below the place examined")
    return Finding("rights", GOOD, f"{len(DATA_TYPES)} kinds of topic can be published and arrive")


def _retained(facts):
    if "retained" not in facts:
        return Finding("retained", UNKNOWN, "not tried")
    if facts["retained"]:
        return Finding("retained", BAD, facts["retained"],
                       "nobody who comes later can decode a frame, because the CFG-2 is missing; mosquitto closes "
                       "the connection of each node that publishes one", "retain_available true",
                       "allow retained messages")
    return Finding("retained", GOOD, "a message is retained, read and removed")


def _size(facts):
    if "size" not in facts:
        return Finding("message size", UNKNOWN, "not tried")
    largest, trouble = facts["size"], facts["size_trouble"]
    if not largest:
        return Finding("message size", BAD, f"{SIZES[0]} bytes do not pass: {trouble}",
                       "the backlog of an outage (outbox.backlog_bytes is 1200) never leaves the node",
                       "max_packet_size 262144, and no message_size_limit", "its largest packet or message")
    if trouble:
        return Finding("message size", NOTE, f"{largest} bytes pass, {SIZES[1]} do not: {trouble}",
                       "enough for nodes; a concentrator's frame or configuration can have 65535",
                       "max_packet_size 262144, and no message_size_limit", "its largest packet or message")
    return Finding("message size", GOOD, f"{largest} bytes pass")


def _session(facts):
    if facts.get("session_kept") is None:
        return Finding("persistent session", UNKNOWN, "not tried, or the connection broke")
    if not facts["session_kept"]:
        return Finding("persistent session", BAD, "gone when the client returns",
                       "whatever is published while a node or the adapter is away is lost to it: "
                       f"{_BRIDGED_S * RATE} frames a minute at {RATE}/s", "nothing forbids them there: is there a "
                       "proxy, or a plug-in?", "persistent sessions of MQTT 3.1.1 (clean session off), their life")
    return Finding("persistent session", GOOD, "kept while the client is away")


def _expiry(facts):
    seconds = facts["expiry_s"]
    if seconds is None:
        return None
    if seconds < _WEEK_S:
        return Finding("session expiry", BAD if seconds < _HOUR_S else NOTE,
                       f"{seconds} s granted of the {_WEEK_S} s asked for",
                       "an adapter that is away for longer loses all that waits for it",
                       "persistent_client_expiration 7d", "the longest session expiry interval")
    return Finding("session expiry", GOOD, "7 days granted")


def _window(facts):
    window = facts.get("window")
    if window is None:
        return None
    if window < _WINDOW_LEAST:
        return Finding("messages in flight", NOTE, f"{window} to a subscriber of MQTT 3.1.1",
                       f"it gets at most {window * 10} messages a second at a round trip of 100 ms, and none while "
                       "its archive waits for the disk", "max_inflight_messages 1000",
                       "the receive maximum or in-flight window of subscribers")
    return Finding("messages in flight", GOOD, f"{window} and more to a subscriber")


def _queue(facts):
    queued, sent = facts.get("queued"), facts.get("queue_sent", 0)
    if queued is None or not sent:
        return Finding("queue", UNKNOWN, "not tried, or the connection broke")
    speed = f"taken at {facts['queue_rate']:.0f}/s"
    wanted = _BRIDGED_S * RATE
    if queued >= min(sent, QUEUE):
        found = f"all {queued} messages for an absent subscriber kept: {queued / RATE:.0f} s at {RATE}/s; {speed}"
        if facts["queue_rate"] < _RATE_LEAST:
            return Finding("queue", NOTE, found,
                           "a node with a backlog gets no more through while a subscriber is away",
                           "autosave_on_changes false and autosave_interval 1 (doctor --conf), or a faster disk",
                           "how often it syncs, its rate limits")
        if sent < wanted:
            return Finding("queue", UNKNOWN, f"{found}; more could not be sent in time")
        return Finding("queue", GOOD, found)
    found = f"{queued} of {sent} messages for an absent subscriber were kept; {speed}"
    lost = max(0, wanted - queued)
    cost = f"bridges {queued / RATE:.0f} s at {RATE}/s; a minute away loses {lost} frames of one PMU, in silence"
    return Finding("queue", BAD if queued < wanted else NOTE, found, cost, "max_queued_messages 100000",
                   "the queue of a session (EMQX mqtt.max_mqueue_len, VerneMQ max_offline_messages, HiveMQ "
                   "queued-messages.max-queue-size)")


def _nodelay(facts):
    gap_s = facts.get("pair_gap_s")
    if gap_s is None or _PROMPT_S < gap_s < _NAGLE_S:
        why = "" if gap_s is None else f": messages sent together arrive {gap_s * 1000:.0f} ms apart"
        return Finding("delay", UNKNOWN, f"cannot tell whether small packets leave at once{why}", "",
                       "set_tcp_nodelay true", "TCP_NODELAY of its listener")
    if gap_s < _PROMPT_S:
        return Finding("delay", GOOD, f"messages sent together arrive within {gap_s * 1000:.1f} ms (median)")
    return Finding("delay", NOTE, f"messages sent together arrive {gap_s * 1000:.0f} ms apart (median): the "
                   "broker, or a proxy before it, waits for TCP's acknowledgements (Nagle's algorithm)",
                   f"live frames come up to {gap_s * 1000:.0f} ms late, and windowed rates halve: 97/s instead of "
                   "192/s with window 20 at 100 ms", "set_tcp_nodelay true", "TCP_NODELAY of its listener")


def _receive_maximum(facts):
    number = facts["receive_maximum"]
    if number is None or number >= _NODE_WINDOW:
        return None
    return Finding("receive maximum", NOTE, f"{number} messages may be open from a publisher of MQTT 5",
                   f"it sends at most {number * 10} messages a second at 100 ms; nodes do not speak MQTT 5",
                   "max_inflight_messages 1000", "its receive maximum")


def _system(facts):
    told = facts["system"]
    if not told and facts["retain_available"] is False:
        return Finding("$SYS", UNKNOWN, "what the broker says about itself is retained too")
    if not told:
        return Finding("$SYS", NOTE, "not readable", "its version, its uptime and what it dropped cannot be seen",
                       "sys_interval 10; acl_file: topic read $SYS/#", "its dashboard or metrics")
    found = ", ".join(f"{what} {told[name]}" for name, what in (
        ("version", "version"), ("uptime", "up for"), ("absent", "absent sessions:")) if name in told)
    found = found.replace("up for 0 seconds", "just started")  # it counts on every sys_interval only
    if told.get("dropped", "0") != "0":
        return Finding("$SYS", NOTE, f"{found}, messages dropped since its start: {told['dropped']}",
                       "each was meant for a subscriber that was away or slow",
                       "max_queued_messages 100000; its log names the client", "its metrics")
    return Finding("$SYS", GOOD, found)


def _crash(facts):
    return Finding("a crash of the broker", UNKNOWN, "a client cannot see whether sessions survive it",
                   "if they do not, all that waits for absent subscribers, and every retained CFG-2; with the "
                   "settings of doctor --conf the last two seconds, which nodes send again (outbox.again_s)",
                   "persistence true, autosave_on_changes false, autosave_interval 1; to be sure: gridmote doctor "
                   "--crash, which asks you to kill it", "durable sessions, and when they are synced")


def _left_behind(facts):
    left = facts.get("left_behind")
    return left and Finding("left behind", NOTE, f"could not be removed: {', '.join(left)}",
                            "expires by itself within 2 minutes where MQTT 5 is spoken")
