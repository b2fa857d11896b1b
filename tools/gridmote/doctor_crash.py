"""Does what waits for an absent subscriber survive a crash of the broker? Whoever asks has to crash it."""

import contextlib
import time

import typer

from gridmote.doctor_findings import BAD, GOOD, RATE, Finding
from gridmote.doctor_measure import OWN_TYPE, Examination
from gridmote.doctor_visit import Refused, Silent
from gridmote.fault import Fault

_PATIENCE_S = 300  # for the one who kills, and for the broker to come back
_MOST = _PATIENCE_S * RATE
_ENOUGH = 2 * RATE  # messages before it makes sense to ask for the kill
_SUBJECT = "a crash of the broker"


def survives(login, place, enter):
    """-> Finding. Publishes for an absent subscriber until the broker goes, then looks for what was acknowledged.

    enter: as doctor.enter. Fault when the broker does not go or does not come back.
    """
    examination = Examination(login, place)
    enter(login, examination.greet)
    if not examination.qos:
        raise Fault("the broker has QoS 0 only: nothing is kept for anybody")
    topic, keep = examination.topic(OWN_TYPE), {"keep": True, "expiry_s": 3600}
    try:
        with examination.visit("crash", **keep) as visit:
            visit.subscribe(topic)
        acknowledged = _publish_until_it_goes(examination, topic)
        typer.echo("the broker is gone; waiting for it to come back", err=True)
        with _visit_when_back(examination, keep) as visit:
            present = visit.session_present
            visit.wait_quiet(2.0, 30.0, enough=len(acknowledged))
            came = {int.from_bytes(message.payload, "big") for message in visit.heard}
    finally:
        with contextlib.suppress(OSError, Refused, Silent), examination.visit("crash"):
            pass
    lost = len(acknowledged - came)
    found = f"{lost} of {len(acknowledged)} acknowledged messages are lost, the session is " + (
        "there" if present else "gone")
    if not lost:
        return Finding(_SUBJECT, GOOD, found)
    return Finding(_SUBJECT, BAD, found,
                   f"{lost / RATE:.1f} s of each PMU at {RATE}/s, for every subscriber that is away then",
                   "persistence true, autosave_on_changes true, autosave_interval 1",
                   "durable sessions, and how often they are synced")


def _publish_until_it_goes(examination, topic):
    """-> set of the numbers that were acknowledged."""
    with examination.visit("sender") as sender:
        ids, began_s = {}, time.monotonic()
        while not sender.closed:
            number = len(ids)
            if number == _ENOUGH:
                typer.echo("now kill the broker (kill -9), and start it again", err=True)
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
