"""What a query can ask for: `arg` of MIN, MAX, SUM, MEAN, SPAN and LAST (docs/gossip-queries.md)."""

VOLTAGE = 1  # mV, rms, of the first voltage
ANGLE = 2  # hundredths of a degree, of the same, at the second whose lowest byte is `arg >> 8`
FREQUENCY = 3  # mHz
