"""What a query can ask for, by name (docs/gossip-queries.md), for tools and tests: a node has the numbers only."""

COUNT, SUM, MEAN, MIN, MAX, SPAN, PERIODS, LAST, VERSIONS, HELD, ROLL = range(1, 12)  # functions
MOST = 0x7FFFFFFFFFFF  # of one node's value, either sign: 65535 of them fit into 64 bits
EPOCH_NONE = 256  # no key is believed
# `arg` of MIN, MAX, SUM, MEAN, SPAN and LAST
VOLTAGE = 1  # mV, rms, of the first voltage
ANGLE = 2  # hundredths of a degree, of the same, at the second whose lowest byte is `arg >> 8`
FREQUENCY = 3  # mHz
EPOCH = 4  # the oldest key of tariffs that is believed, EPOCH_NONE: none is
KEY = 5  # the newest one, 0: none
