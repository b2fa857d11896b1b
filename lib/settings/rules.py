"""What one value of a configuration may be: each rule gives None, or in words what is allowed."""

def text(most, least=1, chars=None):
    """A string of least..most bytes, all of `chars` if given."""
    allowed = "a string of %d to %d bytes" % (least, most) + (" out of %s" % chars if chars else "")

    def check(value):
        ok = isinstance(value, str) and least <= len(value.encode()) <= most
        return None if ok and (not chars or all(c in chars for c in value)) else allowed

    return check


def whole(least, most):
    """An integer."""

    def check(value):
        ok = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if ok else "a whole number from %d to %d" % (least, most)

    return check


def one_of(*choices):
    def check(value):
        return (
            None
            if value in choices and type(value) in [type(c) for c in choices]
            else "one of %s" % ", ".join([repr(c) for c in choices])
        )

    return check


def truth(value):
    return None if isinstance(value, bool) else "true or false"


def power_of_two(least, most):
    def check(value):
        ok = whole(least, most)(value) is None and value & (value - 1) == 0
        return None if ok else "a power of two from %d to %d" % (least, most)

    return check


def passphrase(value):
    ok = isinstance(value, str) and (not value or 8 <= len(value.encode()) <= 63)
    return None if ok else "8 to 63 bytes (WPA2), or empty"


def country(value):
    ok = isinstance(value, str) and len(value) in (0, 2) and all("a" <= c <= "z" for c in value.lower())
    return None if ok else "two letters, or empty"


def hexadecimal(*lengths):
    """A string of one of `lengths` bytes in hexadecimal, or empty."""
    allowed = " or ".join([str(2 * n) for n in lengths]) + " hexadecimal digits, or empty"

    def check(value):
        ok = isinstance(value, str) and (not value or len(value) // 2 in lengths and len(value) % 2 == 0)
        return None if ok and all(c in "0123456789abcdefABCDEF" for c in value) else allowed

    return check


def brokers(value):
    ok = isinstance(value, list) and len(value) <= 4
    for broker in value if ok else ():
        ok = ok and isinstance(broker, dict) and set(broker) == {"host", "port"}
        ok = ok and text(255)(broker["host"]) is None and whole(1, 65535)(broker["port"]) is None
    return None if ok else 'a list of up to 4 {"host": ..., "port": ...}'


def hosts(value):
    ok = isinstance(value, list) and len(value) <= 4 and all(text(255)(host) is None for host in value)
    return None if ok else "a list of up to 4 names or addresses"


def pins(value):
    ok = isinstance(value, list) and len(value) <= 8 and all(whole(0, 64)(pin) is None for pin in value)
    return None if ok else "a list of up to 8 numbers of GPIOs"


def anything(value):
    """Checked by the one who uses it: a source knows its own keys."""
    return None if isinstance(value, dict) else "an object"
