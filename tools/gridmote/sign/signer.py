"""Signs what all nodes may act on: tariffs, commands to all, and the next key.

    fleet-keys/tariff/         state (gridmote/sign/ledger.py), and for each live key a folder named by its epoch
    fleet-keys/tariff.pub      hexadecimal: the public key that nodes are provisioned with
    fleet-keys/recovery.pub    the same of the recovery key, whose folder is kept elsewhere, offline
"""

import contextlib
import os
import shutil
import time
from pathlib import Path

from gossip.wire import KEY, NUMBER_MOST, REVOKE, SIGNERS
from gridmote.fault import Fault
from gridmote.provision.folder import settle
from gridmote.sign import key as keys
from gridmote.sign import store
from gridmote.sign.ledger import Ledger, guess, locked
from gridmote.sign.message import check, seal

HEIGHT = 10  # 1,024 signatures: three weeks of half-hourly tariffs
EPOCH_MOST = 255
_ANNOUNCE_DAYS = 90  # how long a node that was off may still learn of the next key
_EVERYWHERE = 7
_APART = 1 << 20  # sequence numbers left out where it is not known which were used
_MONTH_S = 2592000


class Signer:
    """The tariff key in the folder `fleet` of the fleet's keys.

    watch: what makes a key goes through it, such as key.watch_on(console). now(): SOC. Fault for everything that
    keeps it from signing safely.

    At 80 % of a key the next one is made, and announced by a message KEY, again after each 1/60 of a key's
    signatures; at 95 % the next one signs, and what is left of the old one announces it to nodes that were off.
    Every message has the sequence number that follows the one before: where one was left out, nodes would ask each
    other for it. Revoked keys sign nothing.
    """

    def __init__(self, fleet, watch=keys.watch_nothing, now=time.time):
        self._fleet = Path(fleet)
        self.folder = self._fleet / "tariff"
        self._ledger = Ledger(self.folder)
        self._watch, self._now = watch, now
        self._loaded = {}

    def exists(self):
        return self.folder.exists()

    def create(self, height=HEIGHT):
        """The first key of a fleet; takes seconds. Fault if there is one."""
        with self._alone():
            if self.exists():
                raise Fault(f"{self.folder}: has a tariff key already")
            self._create(height, 1, 0, 1)

    def origin(self):
        """Under which tariffs are numbered: 1, or what replace() was told."""
        with self._ledger.held() as state:
            return _origin(state)

    def replace(self, height=HEIGHT, epoch=None, origin=None):
        """A new tariff key in place of one that is lost, stolen, copied or restored -> its public key, for the KEY
        message of the recovery key (Recovery.sign). The old folder is kept beside it, and signs no more.

        epoch: not below what was revoked; else two above the last, after 255 the least that may be. origin: as
        which tariffs are signed, 1 to 15, None as before. Sequence numbers go on well above the last that is known.
        """
        with self._alone():
            was = guess(self.folder)
            least = was.get("least", 1)
            epoch = epoch or max(self._last() + 2, least)  # a thief may have made the next one
            if epoch > EPOCH_MOST:
                epoch = least  # the recovery key's message replaces whatever nodes have
            if not least <= epoch <= EPOCH_MOST:
                raise Fault(f"epoch {epoch}: there are {least} to {EPOCH_MOST}")
            origin = origin or _origin(was)
            if not 1 <= origin <= SIGNERS:
                raise Fault(f"origin {origin}: there are 1 to {SIGNERS}")
            known = was.get("seq", {}).values()
            base = max([seq + _APART for seq in known] + [int(self._now() - 1767225600) // _MONTH_S * _APART])
            if self.exists():
                os.rename(self.folder, self._kept_as(int(self._now())))
                settle(self._fleet)
            self._loaded = {}
            self._create(height, epoch, base, origin, least)
        return self.public()

    def _last(self):
        """The highest epoch that there was, as far as is known: a copy of the fleet's keys may lack the folder."""
        epochs = [int(one.name) for one in self.folder.glob("*") if one.name.isdigit()]
        published = bytes.fromhex(store.read_public(self._fleet / "tariff.pub"))
        return max([*epochs, published[8] if published else 0])

    def _kept_as(self, now):
        """A free name for the old folder."""
        while (path := self.folder.with_name(f"tariff.old-{now}")).exists():
            now += 1
        return path

    def public(self):
        """The key that nodes are provisioned with; b"": there is none."""
        path = self._fleet / "tariff.pub"
        if self.exists() and not path.exists():  # interrupted
            with self._ledger.held() as state:
                self._publish(state)
        return bytes.fromhex(store.read_public(path))

    def left(self):
        """(epoch that signs, its signatures left, of so many)."""
        with self._ledger.held() as state:
            one = _signing(state)
            return one["epoch"], store.size(one) - one["next"], store.size(one)

    def reserve(self, origin):
        """A sequence number of an origin that nothing else will have: for what the recovery key signs."""
        with self._ledger.held() as state:
            seq = _take_seq(state, origin, 0)
            self._ledger.commit(state)
        return seq

    def revoke(self, epoch):
        """No key up to this epoch signs any more, nor is one made: the recovery key has ended them."""
        with self._ledger.held() as state:
            state["least"] = max(state.get("least", 1), epoch + 1)
            self._ledger.commit(state)
            self._publish(state)

    def revoked(self):
        """Whether no key is left that may sign."""
        with self._ledger.held() as state:
            return _ended(state, _signing(state))

    def sign(self, kind, reach, origin, seq, lifetime_s, valid_from, valid_until, body):
        """[Signed]: this message, and before it a KEY when one is due; to be sent in that order.

        seq 0: the next of the origin; another one has to be above all before. Times are SOC. body: bytes, or what
        gives them when it is called with the sequence number of the message.
        """
        if kind == REVOKE:
            raise Fault("only the recovery key revokes")
        with self._ledger.held() as state:
            self._refuse(state)
            self._renew(state)
            one, jobs, (old, *new) = _signing(state), [], state["keys"]
            due = new and old["next"] < store.size(old) and state["since"] >= store.size(old) // 60
            if due and not _ended(state, old):
                now, state["since"] = int(self._now()), 0
                jobs.append((old, KEY, _EVERYWHERE, 0, now, now + _ANNOUNCE_DAYS * 86400, self._key(new[0]).public))
            jobs.append((one, kind, reach, seq, valid_from, valid_until, body))
            state["since"] += 1
            taken = []
            for one, kind, reach, seq, since, until, body in jobs:
                seq = _take_seq(state, origin, seq)
                said = kind, reach, origin, seq, lifetime_s, since, until, body(seq) if callable(body) else body
                check(one["height"], *said)
                taken.append((self._key(one), store.take_leaf(one), *said))
            self._ledger.commit(state)
            signed = [seal(*one) for one in taken]
            self._publish(state)
        return signed

    def _refuse(self, state):
        """Fault where every key was revoked: no node would take what it signs."""
        one = _signing(state)
        if _ended(state, one):
            raise Fault(f"{self.folder}: its key, epoch {one['epoch']}, was revoked, and nodes believe it no more; "
                        "gridmote tariff keys --replace --recovery FOLDER makes another")

    @contextlib.contextmanager
    def _alone(self):
        """Nobody else makes keys in this fleet meanwhile. Fault."""
        try:
            if not self._fleet.is_dir():
                self._fleet.mkdir(mode=0o700, parents=True)
                settle(self._fleet.parent)
            with locked(self._fleet):
                yield
        except OSError as error:
            raise Fault(f"{error.filename or self._fleet}: {error.strerror}") from None

    def _create(self, height, epoch, base, origin, least=1):
        state = {"seq": {}, "base": base, "since": 0, "origin": origin, "least": least}
        store.create(self.folder, epoch, height, self._watch, True, state)
        with self._ledger.held() as state:
            self._publish(state)

    def _renew(self, state):
        """Make the next key when the newest is used up to 80 %."""
        newest = state["keys"][-1]
        if newest["next"] < store.size(newest) * 4 // 5 or newest["epoch"] == EPOCH_MOST:
            return
        made = store.add(self.folder, newest["epoch"] + 1, newest["height"], self._watch)
        self._loaded.pop(made["epoch"], None)
        old = state["keys"][:-1]
        state["keys"] = [newest, made]
        state["since"] = 1 << 30  # due at once
        self._ledger.commit(state)
        for one in old:
            shutil.rmtree(self.folder / str(one["epoch"]), ignore_errors=True)

    def _key(self, one):
        epoch = one["epoch"]
        if epoch not in self._loaded:
            self._loaded[epoch] = keys.load(self.folder / str(epoch), self._watch)
        return self._loaded[epoch]

    def _publish(self, state):
        """tariff.pub is the key that signs now."""
        store.publish(self._fleet / "tariff.pub", self._key(_signing(state)).public)


def _signing(state):
    """The key that signs now: the older of two up to 95 %, unless it was revoked."""
    old, *new = state["keys"]
    return new[0] if new and (old["next"] >= store.size(old) * 19 // 20 or _ended(state, old)) else old


def _ended(state, one):
    return one["epoch"] < state.get("least", 1)  # a state of before has none


def _origin(state):
    return state.get("origin", 1)


def _take_seq(state, origin, seq):
    after = state["seq"].get(str(origin), state["base"])
    seq = seq or after + 1
    if not after < seq <= NUMBER_MOST:
        raise Fault(f"sequence number {seq} of origin {origin}: up to {after} they were used")
    state["seq"][str(origin)] = seq
    return seq
