"""What a node may do in its segment: gossip, tariffs, appliances. Part of settings.schema, where one is given."""

from hashlib import sha256

from settings.rules import hexadecimal, one_of, text, truth, whole

REQUIRED = None  # as settings.schema has it
_NUMBER = 0x3FFFFFFF  # of a node: a small integer on 32 bits


def currency(value):
    ok = isinstance(value, str) and len(value) in (0, 3) and all("A" <= c <= "Z" for c in value)
    return None if ok else "three capital letters, or empty"


def seeds(value):
    allowed = 'a list of up to 8 "host:port" or "tcp://host:port"'
    if not isinstance(value, list) or len(value) > 8:
        return allowed
    for seed in value:
        host, _, port = seed.rpartition(":") if isinstance(seed, str) else ("", "", "")
        host = host[6:] if host.startswith("tcp://") else host
        number = int(port) if 0 < len(port) < 6 and all(c in "0123456789" for c in port) else 0
        if text(255)(host) is not None or "/" in host or not 0 < number < 65536:
            return "%s (%s is neither)" % (allowed, repr(seed)[:80])
    return None


def place(value):
    return None if value == "" or seeds([value]) is None and "://" not in value else '"host:port", or empty'


def numbers(value):
    ok = isinstance(value, list) and len(value) <= 16 and all(whole(1, _NUMBER)(n) is None for n in value)
    return None if ok else "a list of up to 16 numbers of nodes"


def own_number(value):
    ok = whole(0, _NUMBER)(value) is None and not 0 < value < 16
    return None if ok else "a whole number from 16 to %d, or 0" % _NUMBER


def group(value):
    parts = value.split(".") if isinstance(value, str) else ()
    ok = len(parts) == 4 and all(0 < len(p) < 4 and all(c in "0123456789" for c in p) for p in parts)
    ok = ok and 224 <= int(parts[0]) <= 239 and all(int(p) < 256 for p in parts)
    return None if ok or value == "" else "an IPv4 address of a group (224.0.0.0 to 239.255.255.255), or empty"


GOSSIP = {
    "segment_key": (hexadecimal(32), "", "seals every hop inside the segment (HMAC-SHA-256); empty: none"),
    "node_key": (hexadecimal(32), "", "seals commands to this node alone (HMAC-SHA-256); empty: none"),
    "tariff_key": (hexadecimal(48, 56), "", "public LMS key of tariffs (RFC 8554, 5.3); empty: none"),
    "recovery_key": (hexadecimal(48, 56), "", "public LMS key of those who may revoke that; empty: none"),
    "number": (own_number, 0, "of the node in its segment; 0: made of its id"),
    "port": (whole(1, 65535), 7113, "UDP and TCP"),
    "tcp": (truth, False, "listens for up to four peers that UDP does not reach, too: 15 KB of heap then"),
    "group": (group, "239.255.71.13", "multicast address for finding peers; empty: none"),
    "seeds": (seeds, [], 'peers to begin with, ["host:port"]; "tcp://host:port" where UDP does not reach'),
    "population": (whole(2, 10000), 100, "how many nodes the segment has, about"),
    "fanout": (whole(0, 8), 0, "peers that a message is passed on to; 0: by population"),
    "rounds": (whole(0, 31), 0, "times that it is; 0: by population"),
    "variant": (one_of("eager", "lazy", "pull", "push-pull"), "eager", "of messages that begin here"),
    "period_s": (whole(1, 3600), 10, "seconds between looks after peers and what is missing"),
    "remote": (whole(0, 1000), 0, "it tells no peers, and asks for some every so many periods; 0: as all do"),
    "forward": (place, "", 'a display or another device that is sent every message, too: "host:port", UDP'),
    "measuring": (truth, False, "a meter that measures takes part, too: 70 KB of heap more, which no Pico W has"),
    "rated_w": (whole(100, 1000000000), 25000, "most that one node draws: what others say beyond is cut"),
    "rated_v": (whole(1, 1000000), 230, "volts, nominal; more than twice that is cut"),
    "notifiers": (numbers, [], "nodes, beside the utility, whose notices are passed on"),
}
TARIFF = {
    "default_price": (whole(-10000000, 10000000), 25000, "without one: minor units of currency per MWh"),
    "currency": (currency, "", "the only one that is taken, such as EUR; empty: any"),
    "spread_s": (whole(0, 3600), 300, "what was shed comes back within so many seconds"),
}
APPLIANCE = {  # keys that all of them have
    "kind": (one_of("run", "charge", "thermostat", "supply"), REQUIRED, "what it is"),
    "name": (text(32), REQUIRED, "in events"),
    "relay": (whole(0, 7), REQUIRED, "which of board.relays"),
    "watts": (whole(1, 1000000), REQUIRED, "while it is on"),
    "priority": (whole(0, 3), 2, "in an emergency 3 is shed first; 0, and a run that has begun, for a limit only"),
}
_FROM = (whole(0, 1439), 0, "may begin then each day: minutes after midnight, UTC")
_BY = (whole(-1, 1439), -1, "is done by then each day: the first such minute after `from`; -1: only when asked for")
_DEGREES = whole(-10000, 20000)
# kind: its own keys.
APPLIANCES = {
    "run": {"minutes": (whole(1, 1439), REQUIRED, "how long it takes, in one piece"), "from": _FROM, "by": _BY},
    "charge": {"wh": (whole(1, 1000000), REQUIRED, "energy needed each day"), "from": _FROM, "by": _BY},
    "thermostat": {
        "normal": (_DEGREES, REQUIRED, "set point at the mean price, hundredths of a degree"),
        "saving": (_DEGREES, REQUIRED, "at the dearest"),
        "storing": (_DEGREES, REQUIRED, "at the cheapest"),
        "band": (whole(1, 1000), 50, "of the switch"),
        "cooling": (truth, False, "false: it heats"),
        "rest_s": (whole(0, 3600), 300, "for so long at least it stays on, or off"),
    },
    "supply": {
        "wh": (whole(0, 1000000), 0, "that the battery stores; 0: solar panels, the relay lets them feed in"),
        "charger": (whole(-1, 7), -1, "relay that charges it, while `relay` discharges; -1: none"),
    },
}


def filled(given, relays, fill, mistakes):
    """`given` with all defaults. relays: how many the board has, 0: not known. fill: settings.schema's."""
    seen, full = [], []
    for i, one in enumerate(given):
        where = "appliances[%d]" % i
        keys = dict(APPLIANCE)
        own = APPLIANCES.get(str(one.get("kind")))
        if own is None:
            fill({"kind": one["kind"]} if "kind" in one else {}, {"kind": keys["kind"]}, where, mistakes)
            continue
        keys.update(own)
        before = len(mistakes)
        one = fill(one, keys, where, mistakes)
        full.append(one)
        why = _vain(one) if len(mistakes) == before else None
        if why:
            mistakes.append("%s: %s" % (where, why))
        for key in ("name", "relay", "charger"):
            value = one.get(key, -1)
            if value == -1:
                continue
            if value in seen:
                mistakes.append("%s.%s: %r has another one, too" % (where, key, value))
            elif relays and key != "name" and isinstance(value, int) and value >= relays:
                mistakes.append("%s.%s: %d, but board.relays has 0 to %d" % (where, key, value, relays - 1))
            seen.append(value)
    return full


def _vain(one):
    """What makes an appliance miss its time each day, or prices work the wrong way round; None if nothing does."""
    if one["kind"] == "thermostat":
        least, most = ("storing", "saving") if one["cooling"] else ("saving", "storing")
        if not one[least] <= one["normal"] <= one[most]:
            how = "cools" if one["cooling"] else "heats"
            return "it %s most at the dearest prices; %s <= normal <= %s is needed" % (how, least, most)
    elif one.get("by", -1) >= 0:
        takes = one["minutes"] if one["kind"] == "run" else -(-60 * one["wh"] // one["watts"])
        there = (one["by"] - one["from"]) % 1440 or 1440
        if takes > there:
            return "it takes %d minutes, but there are %d between `from` and `by`" % (takes, there)
    return None


def number_of(name):
    """The number that a node's id gives it in its segment: of its SHA-256 the first 30 bits, 1 to 15 left out."""
    start = sha256(name.encode()).digest()
    number = (start[0] << 24 | start[1] << 16 | start[2] << 8 | start[3]) >> 2
    return number if number > 15 else number + 16
