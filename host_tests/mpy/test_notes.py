"""EVENTs of a lean node: kept over cuts until the broker has them, bounded, and what went is counted."""

import json

from fake_storage import Storage

from firmware.log import Log
from firmware.notes import NOTE_BYTES, Notes
from firmware.shelf import Shelf


class Clock:
    known, tq = False, 15


def notes(storage, boot=1, kept=True):
    return Notes(Shelf(storage), Clock(), boot, Log(lines.append, "info"), kept)


def ids(made):
    return [(note["boot"], note["seq"]) for note in [json.loads(note) for note in made.waiting]]


lines = []
storage = Storage()
made = notes(storage)
made.event("start", reset="power")
made.event("relay", name="washer", text="a\nb")
fields = json.loads(made.first())
assert (fields["event"], fields["boot"], fields["seq"], fields["tq"], fields["soc"]) == ("start", 1, 1, 15, None)
assert len(lines) == 2 and fields["ticks"] >= 0
made = notes(storage, 2)  # the power was cut
assert ids(made) == [(1, 1), (1, 2)] and json.loads(made.waiting[1])["text"] == "a\nb"
made.event("start")
first = made.first()
made.took(b"another")
assert made.first() is first
made.took(first)
assert ids(notes(storage)) == [(1, 1), (1, 2), (2, 1)], "twice rather than never"
made.tidy()
assert ids(notes(storage)) == [(1, 2), (2, 1)]
writes = storage.files["_events"]
made.tidy()
assert storage.files["_events"] is writes, "nothing new: nothing is written"

# It is bounded, oldest first; one on its way that had to go is not taken for another.
first = made.first()
for i in range(40):
    made.event("relay", i=i)
assert len(made.waiting) == 16 and made.dropped == 26 and ids(made)[-1] == (2, 41)
made.took(first)
assert len(made.waiting) == 16
for _ in range(20):
    made.event("long", text="x" * (NOTE_BYTES - 150))
    assert sum(len(note) + 1 for note in made.waiting) <= 3500 and storage.files["_events"].size <= 3504
try:
    made.event("long", text="x" * NOTE_BYTES)
    raise AssertionError("no ValueError")
except ValueError:
    pass

# What cannot be written stays in RAM, is told, and is written when it can be.
storage.fail = 5
made.event("late")
assert made.storage == "[Errno 5] EIO" or "5" in made.storage, made.storage
storage.fail = 0
assert ids(notes(storage))[-1] != ids(made)[-1]
made.tidy()
assert ids(notes(storage)) == ids(made) and made.storage == "ok"

# Without a broker nobody waits for them; without storage RAM does.
alone = notes(storage, 3, False)
alone.event("start")
assert not alone.waiting and "start" in lines[-1]
ram = notes(None)
ram.event("start")
assert ram.storage == "none" and len(ram.waiting) == 1
