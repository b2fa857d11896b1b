"""Does what waits for an absent subscriber survive a crash of the broker? Whoever asks has to crash it."""

import contextlib
import time

from gridmote.doctor.findings import BAD, GOOD, NOTE, RATE, Finding
from gridmote.doctor.measure import OWN_TYPE, Examination
from gridmote.doctor.visit import Refused, Silent
from gridmote.fault import Fault

_PATIENCE_S = 300  # for the one who kills, and for the broker to come back
_MOST = _PATIENCE_S * RATE
_AGAIN_S = 5  # so much of what was acknowledged do nodes send again, unless told otherwise (outbox.again_s)
_ENOUGH = (_AGAIN_S + 1) * RATE  # messages before the kill is asked for, so that more than that can be lost
_SUBJECT = "a crash of the broker"


def survives(login, place, enter, say):
    """-> Finding. Publishes for an absent subscriber until the broker goes, then looks for what was acknowledged.

    enter: as doctor.enter. say(text): what to do, and when the broker is gone. Fault when it does not go or does
    not come back.
    """
    examination = Examination(login, place)
    enter(login, examination.greet)
    if not examination.qos:
        raise Fault("the broker has QoS 0 only: nothing is kept for anybody")
    topic, keep = examination.topic(OWN_TYPE), {"keep": True, "expiry_s": 3600}
    try:
        with examination.visit("crash", **keep) as visit:
            visit.subscribe(topic)
        acknowledged = _publish_until_it_goes(examination, topic, say)
        say("the broker is gone; waiting for it to come back")
        with _visit_when_back(examination, keep) as visit:
            present = visit.session_present
            visit.wait_quiet(2.0, 30.0, enough=len(acknowledged))
            came = {int.from_bytes(message.payload, "big") for message in visit.heard}
    finally:
        with contextlib.suppress(OSError, Refused, Silent), examination.visit("crash"):
            pass
    return judge_crash(acknowledged, came, present)


def judge_crash(acknowledged, came, present):
    """-> Finding. acknowledged, came: sets of numbers, RATE of them a second. present: the session, afterwards."""
    lost = acknowledged - came
    found = f"{len(lost)} of {len(acknowledged)} acknowledged messages are lost, the session is " + (
        "there" if present else "gone")
    if not lost:
        return Finding(_SUBJECT, GOOD, found)
    lag_s = (max(acknowledged) + 1 - min(lost)) / RATE
    others = "durable sessions, and how often they are synced"
    if present and lag_s <= _AGAIN_S:
        return Finding(_SUBJECT, NOTE, f"{found}, the loss began {lag_s:.1f} s before the last PUBACK",
                       f"nothing of Gridmote nodes, which send the last {_AGAIN_S} s again (outbox.again_s, as far "
                       f"as outbox.slots hold them); of publishers that do not, {len(lost) / RATE:.1f} s for every "
                       "subscriber that is away then", "autosave_on_changes true and autosave_interval 1, only for "
                       "such publishers (at a price: see doctor --conf)", others)
    return Finding(_SUBJECT, BAD, found,
                   f"{len(lost) / RATE:.1f} s of each PMU at {RATE}/s, for every subscriber that is away then: "
                   f"more than the {_AGAIN_S} s that nodes send again, or no session to send it to",
                   "persistence true, autosave_on_changes false, autosave_interval 1", others)


def _publish_until_it_goes(examination, topic, say):
    """-> set of the numbers that were acknowledged."""
    with examination.visit("sender") as sender:
        ids, began_s = {}, time.monotonic()
        while not sender.closed:
            number = len(ids)
            if number == _ENOUGH:
                say("now kill the broker (kill -9), and start it again")
            if number == _MOST:
                raise Fault(f"the broker was not killed within {_PATIENCE_S} s")
            ids[sender.send(topic, number.to_bytes(4, "big"), 1)] = number
            sender.wait(lambda: sender.closed, max(0.001, began_s + len(ids) / RATE - time.monotonic()))
        return {number for mid, number in ids.items() if sender.acknowledged(mid) == ""}


@contextlib.contextmanager
def _visit_when_back(examination, keep):
    """A Visit, as soon as the broker lets it in."""
    end_s = time.monotonic() + _PATIENCE_S
    with contextlib.ExitStack() as stack:
        visit = None
        while visit is None:
            try:
                visit = stack.enter_context(examination.visit("crash", **keep))
            except (OSError, Refused, Silent) as error:
                if time.monotonic() > end_s:
                    raise Fault(f"the broker has not come back within {_PATIENCE_S} s: {error}") from error
                time.sleep(0.2)
        yield visit
