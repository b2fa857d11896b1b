"""DNS (RFC 1035), as far as a node needs it: the IPv4 address of a name, in one datagram each way."""


def literal(host):
    """Whether `host` is an IPv4 address itself and needs no look-up."""
    parts = host.split(".")
    for part in parts:
        if not 0 < len(part) < 4 or part.strip("0123456789") or int(part) > 255:
            return False
    return len(parts) == 4


def question(host, ident):
    """The datagram that asks for the A records of a name. ident: 0..65535. ValueError if it can be no name."""
    out = bytearray((ident >> 8, ident & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0))  # recursion desired, one question
    for label in host.encode().rstrip(b".").split(b"."):
        if not 0 < len(label) < 64:
            raise ValueError("no name: %s" % host)
        out.append(len(label))
        out.extend(label)
    if len(out) > 266:  # clause 2.3.4: names have 255 octets at most
        raise ValueError("no name: %s" % host)
    out.extend(b"\0\0\1\0\1")  # the root; type A, class IN
    return bytes(out)


def answer(packet, query):
    """What `packet` says to `query` (of `question`): the first address, as "1.2.3.4"; an RCODE (clause 4.1.1) if
    the name server gives none, 0 when it knows the name; None: no answer to that query, or a damaged one.

    Whose the address is, the name's or that of an alias in the same answer, is left to the name server.
    """
    n = len(query)
    if len(packet) < n or bytes(packet[:2]) != query[:2] or packet[2] & 0xF8 != 0x80:
        return None
    if bytes(packet[4:6]) != b"\0\1" or bytes(packet[12:n]).lower() != query[12:].lower():
        return None
    if packet[3] & 15:
        return packet[3] & 15
    for _ in range(packet[6] << 8 | packet[7]):
        n = _walk(packet, n)
        if not n or n + 10 > len(packet):
            return None
        head, size = bytes(packet[n : n + 4]), packet[n + 8] << 8 | packet[n + 9]
        n += 10
        if n + size > len(packet):
            return None
        if head == b"\0\1\0\1" and size == 4:
            return "%d.%d.%d.%d" % tuple(packet[n : n + 4])
        n += size
    return 0


def _walk(packet, at):
    """Where the name at packet[at] ends; 0 if it does not. A pointer (clause 4.1.4) ends it, too."""
    while at < len(packet):
        size = packet[at]
        if size > 63:
            return at + 2 if size > 191 else 0
        at += 1 + size
        if not size:
            return at
    return 0
