"""What a node shall be becomes its files: all of it is checked first, then keys and a certificate are made."""

import contextlib
import copy
import hashlib
from os.path import isfile
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gridmote.fault import Fault
from gridmote.node.config import check_grid
from gridmote.provision.authority import common_name, now, public, read_certificate, read_key
from gridmote.provision.layout import KEY_FILES, NodeSet, inside, on_device
from gridmote.provision.values import drop, get, put, split
from gridmote.sign.ledger import guess
from gridmote.sign.store import read_public
from settings.schema import ConfigError, check
from settings.segment import number_of

_P256_NEEDED = "not a P-256 key"


class Mistakes(Exception):
    """[(dotted key or "", what is wrong)], without any secret."""

    def __init__(self, found):
        self.found = found
        super().__init__("\n".join(f"{key}: {text}" if key else text for key, text in found))


class Plan(NamedTuple):
    """given: the configuration, secrets included, without broker.ca, certificate and key. files: those, as DER.
    full: the configuration with all defaults."""

    given: dict
    files: dict
    full: dict

    @property
    def id(self):
        return self.full["id"]

    @property
    def number(self):
        """In the gossip of its segment."""
        gossip = self.full["gossip"]
        return gossip["number"] if gossip else number_of(self.id)

    @property
    def topic(self):
        return (*self.full["topic"].values(), self.full["id"])


class Made(NamedTuple):
    """certificate, node_key: "made", "kept", "given" or "none". until: the end of the certificate, or None."""

    node_set: NodeSet
    certificate: str
    until: object
    node_key: str


def plan(given, had, ask):
    """The Plan of a nested configuration in which broker.ca, certificate and key name files on this computer, or
    some that the node has already, had: {"keys/...": bytes}. Mistakes with all of them.
    ask(what): the word of an encrypted key."""
    given, found, files = copy.deepcopy(given), [], {}
    for name in KEY_FILES:
        path = get(given, f"broker.{name}")
        if isinstance(path, str) and path:
            try:
                files[name] = had[inside(path)] if inside(path) in had else _der(name, path, ask)
            except Fault as fault:
                found.append((f"broker.{name}", str(fault)))
            put(given, f"broker.{name}", on_device("keys/x.der"))
    if not found:
        found += _unmatched(files)
    try:
        full = check(given)
    except ConfigError as error:
        found += [_placed(line) for line in str(error).splitlines()]
    else:
        found += _beyond_schema(full)
    if found:
        raise Mistakes(found)
    for name in KEY_FILES:
        drop(given, f"broker.{name}")
    return Plan(given, files, full)


def _placed(line):
    key, _, text = line.partition(": ")
    return key, text


def _beyond_schema(full):
    if full["id"].startswith("."):
        yield "id", "must not begin with a dot"
    try:
        check_grid(full["source"])
    except ValueError as error:
        yield _placed(str(error))


def _der(name, path, ask):
    if name != "key":
        return read_certificate(path).public_bytes(serialization.Encoding.DER)
    if not isfile(path):
        raise Fault("no file of that name")  # which may be the key itself
    key = read_key(path, ask)
    if not _p256(key):
        raise Fault(f"{path}: {_P256_NEEDED}")
    return _key_der(key)


def _p256(key):
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def _key_der(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def _unmatched(files):
    if "ca" in files:
        authority = x509.load_der_x509_certificate(files["ca"])
        if authority.not_valid_after_utc < now():
            yield "broker.ca", "has expired"
        if not _trusted(authority):
            yield "broker.ca", ("not the certificate of a CA (basicConstraints CA) but one that a CA issued, which "
                                "nodes cannot use: the certificate of that CA is needed")
    if ("certificate" in files) != ("key" in files):
        yield "broker.certificate", "certificate and key: one is of no use without the other"
    elif "key" in files:
        if "ca" not in files:
            yield "broker.certificate", "of no use without broker.ca, which turns TLS on"
        certificate = x509.load_der_x509_certificate(files["certificate"])
        if public(certificate) != public(serialization.load_der_private_key(files["key"], None)):
            yield "broker.key", "is not the key of broker.certificate"
        if certificate.not_valid_after_utc < now():
            yield "broker.certificate", "has expired"


def _trusted(certificate):
    """Whether mbedtls takes it as an anchor: a CA's, or a broker's own, signed by itself."""
    if certificate.subject == certificate.issuer:
        return True
    with contextlib.suppress(x509.ExtensionNotFound):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False


def make(plan, old, authority, new_keys=False, certificate=True, days=3650):
    """Made. old: the NodeSet that is to be replaced, whose keys stay unless new_keys; or None.
    Fault if that is another node, or has other keys than the fleet."""
    if old and old.config.get("id") != plan.id:
        if not new_keys:
            raise Fault(f"is node {old.config.get('id')}, not {plan.id}; --new-keys replaces it and its keys")
        old = None
    given, files = copy.deepcopy(plan.given), dict(plan.files)
    if old and "key" in files and files["key"] == old.key_file("key") and authority.issued(files["certificate"]):
        del files["key"], files["certificate"]  # our own: kept below if they are still good
    state, until = "none", None
    if "key" in files:
        state = "given"
    elif "ca" in files and certificate:
        state = _certify(plan.id, files, old, authority, new_keys, days)
    if "certificate" in files:
        until = x509.load_der_x509_certificate(files["certificate"]).not_valid_after_utc
    node_key = _gossip_keys(plan, given, old, authority, new_keys)
    keys = {}
    for name in [name for name in KEY_FILES if name in files]:
        data = files[name]
        path = f"keys/{name}-{hashlib.sha256(data).hexdigest()[:8]}.der"
        keys[path] = data
        put(given, f"broker.{name}", on_device(path))
    made = NodeSet(*split(given), keys)
    check(made.merged)
    return Made(made, state, until, node_key)


def _certify(node_id, files, old, authority, new_keys, days):
    """Put the node's key and certificate into files."""
    key = None
    if old and not new_keys and (data := old.key_file("key")):
        try:
            key = serialization.load_der_private_key(data, None)
        except ValueError:
            raise Fault("its private key is damaged; --new-keys makes a new one") from None
    kept = old.key_file("certificate") if key else None
    if kept and authority.still_good(kept, node_id, key):
        files.update(key=data, certificate=kept)
        return "kept"
    key = key or ec.generate_private_key(ec.SECP256R1())
    files.update(key=_key_der(key), certificate=authority.issue(node_id, key.public_key(), days))
    return "made"


def _gossip_keys(plan, given, old, authority, new_keys):
    """Put the segment's and the node's key into given; whether the latter is given, made or kept."""
    segment = tuple(plan.full["topic"].values())
    before = old.merged if old else {}
    same_segment = tuple(get(before, "topic", {}).values()) == segment
    said = [get(given, f"gossip.{name}") for name in ("segment_key", "node_key")]
    had = [get(before, "gossip.segment_key") if same_segment else "", get(before, "gossip.node_key")]
    if new_keys:
        had = ["", had[1]]
    has = [(one or other or "").lower() for one, other in zip(said, had, strict=True)]
    publics = {name: read_public(authority.folder / f"{name}.pub") for name in ("tariff", "recovery")}
    least = guess(authority.folder / "tariff").get("least", 1)
    if publics["tariff"] and bytes.fromhex(publics["tariff"])[8] < least:
        raise Fault("the tariff key was revoked, which a new node would not know; gridmote tariff keys --replace "
                    "--recovery FOLDER makes another")
    authority.take_number(segment, plan.id, plan.number)
    put(given, "gossip.segment_key", authority.segment_key(segment, has[0]))
    node_key = authority.node_key(plan.id, has[1], fresh=new_keys and not said[1])
    put(given, "gossip.node_key", node_key)
    for name, public_key in publics.items():
        if public_key:  # as it is now, whatever the node had
            put(given, f"gossip.{name}_key", public_key)
    return "given" if said[1] else "kept" if node_key == has[1] else "made"


def describe_certificate(made):
    """For a table: what it is and until when, or why there is none."""
    if made.until is None:
        return "none"
    der = made.node_set.key_file("certificate")
    return f"{made.certificate}, CN {common_name(x509.load_der_x509_certificate(der))}, until {made.until:%Y-%m-%d}"
