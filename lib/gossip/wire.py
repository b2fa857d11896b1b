"""The numbers on the wire by their names, for tools and tests: a node's modules have those that they need as consts
of their own, which take no room there. Functions and REASONS are gossip.datagram's."""

from gossip.datagram import (  # noqa: F401
    REASONS,
    Message,
    decode,
    diff,
    link_scope,
    pairs,
    put_head,
    put_pairs,
)

VERSION = 1
HEAD = 25
SEAL = 8
MOST = 1232  # bytes of a datagram: what every IPv6 path carries in one piece
PAYLOAD_MOST = 1199
F_MAX = 8
R_MAX = 31
NUMBER_MOST = 0x3FFFFFFF  # of a node, and of a sequence: small integers on a 32-bit port
SIGNERS = 15  # origins 1 to 15 are the utility's: only they sign

DATA, IHAVE, IWANT, DIGEST, ACK, PROBE, MATCH, REPLY, ASK, NEED = range(1, 11)  # kinds
IED, METER, SSC, IS = 1, 2, 4, 8  # roles; a set of them is a sum
HAN, FAN, WAN = 1, 2, 4  # scopes; a set of them is a sum
EAGER, LAZY, PULL, PUSH_PULL = range(4)  # variants
TARIFF, KEY, COMMAND, REVOKE = 1, 2, 3, 4  # types of DATA with an origin seal
ORDER, NOTICE, TEXT, QUERY = 8, 9, 10, 11  # types without
TAKEN, HAD, REFUSED = range(3)  # what an ACK says

OK, CHECKING, SHORT, LONG, BAD_VERSION, BAD_KIND, FIELD, LENGTH, OWN, BAD_SEAL, STALE, RATE = range(12)
STRANGER, DUPLICATE, EXPIRED, ORIGIN, OLD, WINDOW, BUSY, BUDGET, SIGNATURE, REUSE, STORAGE = range(12, 23)
UNASKED, TYPE = 23, 24
REASON_COUNT = 25
