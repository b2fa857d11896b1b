"""What waits for its PUBACK: a ring in RAM, logs on flash, and the order in which they are sent.

outbox.py ties it together; ring.py is the RAM; stream.py and durable.py are the two logs, log.py what they share,
record.py their bytes; reader.py reads a log, backlog.py makes messages of it; boots.py knows which boot this is;
thinning.py says what a log that fills up may leave out. One number addresses a record wherever it is.
"""
