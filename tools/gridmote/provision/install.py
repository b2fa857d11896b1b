"""How one identity of a node takes the place of another: at every instant the old or the new one is whole.

Key files have the hash of what they hold in their names, so that old and new ones lie side by side. The
configuration and its secrets are two files; where both change, config.json is away for the moment between their
renames, and a node without config.json boots with the last good pair, which is the old one then.
"""

import contextlib

from gridmote.fault import Fault
from gridmote.provision.layout import (
    CONFIG,
    GOOD_CONFIG,
    GOOD_SECRETS,
    OWN_KEY,
    SECRETS,
    STAGED,
    NodeSet,
    decode,
    encode,
    named_keys,
    pair,
)
from settings.schema import ConfigError, check


def install(place, new, keep_good=False, clear=True):
    """Put the NodeSet `new` into `place` (FolderPlace, BoardPlace); True if that changed anything.

    What was there becomes the last good pair. keep_good: not if there is one, as the node itself proved it.
    clear: then clear_keys().
    """
    _clear_staged(place)
    for name, data in new.keys.items():
        if place.read(name) != data:
            place.write(name + STAGED, data)
            place.rename(name + STAGED, name)
    place.settle()
    old = {name: place.read(name) for name in (CONFIG, SECRETS)}
    wanted = {SECRETS: encode(new.secrets), CONFIG: encode(new.config)}  # in the order of their renames
    changed = [name for name in wanted if wanted[name] != old[name]]
    if changed:
        if _boots(old) and not (keep_good and place.read(GOOD_CONFIG) is not None):
            _keep(place, old)
        for name in changed:
            place.write(name + STAGED, wanted[name])
        if len(changed) == 2 and old[CONFIG] is not None:
            place.remove(CONFIG)
            place.settle()
        for name in changed:
            place.rename(name + STAGED, name)
            place.settle()
    if clear:
        clear_keys(place, new)
    return bool(changed)


def _boots(old):
    """Whether these files are a configuration; a broken one is nothing to fall back to."""
    if old[CONFIG] is None:
        return False
    with contextlib.suppress(Fault, ConfigError, AttributeError):
        check(NodeSet(decode(old[CONFIG], CONFIG), decode(old[SECRETS] or b"{}", SECRETS), {}).merged)
        return True
    return False


def _keep(place, old):
    """The pair `old` is the last good one from now on. In the order in which firmware/lastgood.py does it, whose
    mend() brings to an end what is interrupted."""
    files = {GOOD_SECRETS: old[SECRETS] or encode({}), GOOD_CONFIG: old[CONFIG]}
    if all(place.read(name) == data for name, data in files.items()):
        return
    for name, data in files.items():
        place.write(name + STAGED, data)
    for name in files:
        place.rename(name + STAGED, name)
        place.settle()


def _clear_staged(place):
    """What an interrupted run left is of no use, since this one brings everything; but for the second half of
    a last good pair."""
    left = sorted(name for name in place.names() if name.endswith(STAGED))
    if GOOD_CONFIG + STAGED in left and GOOD_SECRETS + STAGED not in left:
        place.rename(GOOD_CONFIG + STAGED, GOOD_CONFIG)
        left.remove(GOOD_CONFIG + STAGED)
    for name in left:
        place.remove(name)


def clear_keys(place, new):
    """Key files that neither `new` nor the last good pair names are gone."""
    good = place.read(GOOD_CONFIG)
    kept = set(new.keys)
    if good is not None:
        with contextlib.suppress(Fault):
            kept.update(named_keys(decode(good, GOOD_CONFIG)))
    for name in place.names():
        if OWN_KEY.fullmatch(name) and name not in kept:
            place.remove(name)
    place.settle()


def interrupted(place):
    """What an earlier run left undone, in words; "" if nothing."""
    names, found = pair(place)
    if found and names[0] == GOOD_CONFIG:
        return "an earlier change was interrupted: the node has its last good configuration"
    if any(name.endswith(STAGED) for name in place.names()):
        return "an earlier change was interrupted: the node has what it had before"
    return ""


def state(place, old, new):
    """After install() failed: which identity `place` has, in words."""
    names, found = pair(place)
    if found is None:
        return "there is no node in it yet"
    if found[0] == encode(new.config) and found[1] == encode(new.secrets):
        return "it has the new identity, whole"
    if old and found[0] == encode(old.config):
        return "it has the identity it had before, whole"
    return f"it has the identity in {names[0]}"
