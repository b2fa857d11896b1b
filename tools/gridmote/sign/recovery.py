"""The recovery key: offline, for the day on which the tariff key is lost, stolen or copied."""

from pathlib import Path

from gossip.lms import length
from gossip.wire import KEY, REVOKE
from gridmote.fault import Fault
from gridmote.sign import key as keys
from gridmote.sign import store
from gridmote.sign.ledger import Ledger, locked
from gridmote.sign.message import check, seal

HEIGHT = 5


class Recovery:
    """The recovery key in a folder of its own, on a medium that is kept offline. Fault.

    Its copies on other machines cannot be seen (gridmote/sign/ledger.py): copy its folder to no second place.
    """

    def __init__(self, folder, watch=keys.watch_nothing):
        self.folder = Path(folder)
        self._ledger = Ledger(self.folder, bound=False)
        self._watch = watch

    def create(self, fleet, height=HEIGHT):
        """Make it; its public key goes to recovery.pub in the folder `fleet`, for the nodes. Takes a moment."""
        published = Path(fleet) / "recovery.pub"
        if store.read_public(published):
            raise Fault(f"{published}: is there; leave out --recovery: nodes know that recovery key, and a new one "
                        "needs other nodes")
        try:
            with locked(self.folder.parent):
                if self.folder.exists():
                    raise Fault(f"{self.folder}: exists; the recovery key needs a new folder")
                store.create(self.folder, 0, height, self._watch, False, {})
            store.publish(published, self.public())
        except OSError as error:
            raise Fault(f"{error.filename or self.folder}: {error.strerror}") from None

    def public(self):
        return keys.load(self.folder / "0", self._watch).public

    def sign(self, kind, reach, origin, seq, lifetime_s, valid_from, valid_until, body):
        """[Signed]. kind: KEY, body: a public key that replaces all; or REVOKE, body: a byte, the least epoch that
        stays. seq: of the origin, by Signer.reserve(), or of an origin that signed nothing before."""
        if kind not in (KEY, REVOKE):
            raise Fault("the recovery key signs keys and revocations only")
        if not (length(body) if kind == KEY else len(body) == 1):
            raise Fault("not a public LMS key" if kind == KEY else "an epoch is one byte")
        key = keys.load(self.folder / "0", self._watch)
        if not seq:
            raise Fault("the recovery key keeps no sequence numbers: say one")
        check(key.height, kind, reach, origin, seq, lifetime_s, valid_from, valid_until, body)
        with self._ledger.held() as state:
            leaf = store.take_leaf(state["keys"][0])
            self._ledger.commit(state)
            return [seal(key, leaf, kind, reach, origin, seq, lifetime_s, valid_from, valid_until, body)]
