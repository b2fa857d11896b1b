"""The keys of a fleet, in a folder of the utility: its CA, a key for each segment and one for each node.

    ca.pem ca.key            the CA of the nodes' certificates; one's own (PEM) may be put here instead
    segments/A,B,C.key       hexadecimal; seals the gossip of the segment at topic A/B/C
    segments/A,B,C.numbers   a line for each of its nodes: its number in the gossip, and its id
    nodes/ID.key             hexadecimal, the newest first; the second is what a node still has that a change of its
                             keys did not reach

Whoever has the folder speaks for the utility: it is for its owner alone, and is what to back up, but for tariff/ in
it (gridmote/sign/ledger.py), of which no copy signs.
"""

import contextlib
import datetime
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridmote.fault import Fault
from gridmote.provision.folder import locked, settle, write_durably

_DAY = datetime.timedelta(days=1)
_CA_YEARS = 30
_RENEW = 30 * _DAY  # before its end a certificate is made anew
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")


class Authority:
    """ask(what) -> a hidden word, for a CA key that is encrypted. Nothing is made before it is needed."""

    def __init__(self, folder, ask):
        self.folder = Path(folder)
        self._ask = ask
        self._ca = None

    @contextlib.contextmanager
    def held(self):
        """Two runs at once would make two CAs, or two keys of one node: Fault for the second."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Fault(f"{self.folder}: {error.strerror}") from None
        with locked(self.folder):
            yield self

    @property
    def ca(self):
        """(certificate, private key), made if there is none. Fault for what cannot issue certificates."""
        if self._ca is None:
            self._ca = self._read_ca() if self.has_ca() else self._make_ca()
        return self._ca

    def has_ca(self):
        return (self.folder / "ca.pem").exists()

    def _read_ca(self):
        certificate = read_certificate(self.folder / "ca.pem")
        key = read_key(self.folder / "ca.key", self._ask)
        if public(key) != public(certificate):
            raise Fault(f"{self.folder}: ca.key is not the key of ca.pem")
        with contextlib.suppress(x509.ExtensionNotFound):
            if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                if certificate.not_valid_after_utc < now() + _DAY:
                    raise Fault(f"{self.folder}/ca.pem: has expired")
                return certificate, key
        raise Fault(f"{self.folder}/ca.pem: not the certificate of a CA")

    def _make_ca(self):
        """The key first: a certificate without its key would be of no use, the other way round it is made now."""
        path = self.folder / "ca.key"
        if path.exists():
            key = read_key(path, self._ask)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
            self._write(path, key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Gridmote fleet {secrets.token_hex(4)}")])
        builder = _builder(name, name, key.public_key(), now() + 365 * _CA_YEARS * _DAY)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._write(self.folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
        return certificate, key

    def issue(self, node_id, public_key, days):
        """DER of a TLS client's certificate: its CN is the node's id, which a broker can take for its user name."""
        ca, key = self.ca
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)])
        end = min(now() + days * _DAY, ca.not_valid_after_utc)
        certificate = (
            _builder(name, ca.subject, public_key, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(_issuer(ca), critical=False)
            .sign(key, None if key.__class__.__name__.startswith("Ed") else hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.DER)

    def issued(self, der):
        """Whether this certificate is of this CA; not if there is none yet."""
        if not self.has_ca():
            return False
        try:
            x509.load_der_x509_certificate(der).verify_directly_issued_by(self.ca[0])
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def still_good(self, der, node_id, key):
        """Whether this certificate is of this CA, for this id and key, and lasts."""
        if not self.issued(der):
            return False
        certificate = x509.load_der_x509_certificate(der)
        lasts = certificate.not_valid_after_utc > min(now() + _RENEW, self.ca[0].not_valid_after_utc - _DAY)
        return lasts and common_name(certificate) == node_id and public(certificate) == public(key)

    def segment_key(self, segment, has):
        """Hexadecimal; `has`: what a node of the segment has already, "" for none. Fault if that is another one."""
        path = self.folder / "segments" / f"{','.join(segment)}.key"
        lines = _lines(path)
        if not lines:
            lines = [has or secrets.token_hex(32)]
            self._write(path, "".join(f"{line}\n" for line in lines).encode())
        if has and has != lines[0]:
            raise Fault(f"gossip.segment_key: not that of {path}; --new-keys takes that one")
        return lines[0]

    def node_key(self, node_id, has, fresh):
        """Hexadecimal; `has`: what the node has already, "" for none; fresh: a new one, the old is remembered."""
        path = self.folder / "nodes" / f"{node_id}.key"
        before = _lines(path)
        if fresh:
            lines = [secrets.token_hex(32), has or (before or [""])[0]]
        elif has and before and has not in before:
            raise Fault(f"gossip.node_key: not that of {path}; --new-keys makes a new one")
        else:
            lines = [has or (before or [secrets.token_hex(32)])[0]]
        lines = [line for line in lines if line]
        if lines != before:
            self._write(path, "".join(f"{line}\n" for line in lines).encode())
        return lines[0]

    def take_number(self, segment, node_id, number):
        """The node's number in the segment's gossip is its own from now on. Fault if another node has it."""
        path = self.folder / "segments" / f"{','.join(segment)}.numbers"
        before = path.read_text().splitlines() if path.exists() else []
        own = f"{number} {node_id}"
        if own in before:
            return
        lines = [line for line in before if line.partition(" ")[2] != node_id]
        for line in lines:
            if line.partition(" ")[0] == str(number):
                raise Fault(f"gossip.number: {number} is that of {line.partition(' ')[2]}, as {path} has it; "
                            "give another one (its line may be deleted if that node is no more)")
        self._write(path, "".join(f"{line}\n" for line in [*lines, own]).encode())

    def _write(self, path, data):
        """Atomically."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        staged = path.with_name(path.name + "~")
        write_durably(staged, data)
        os.rename(staged, path)
        settle(path.parent)


def _lines(path):
    try:
        lines = path.read_text().split()
    except FileNotFoundError:
        return []
    if not lines or any(len(line) != 64 or set(line) - set("0123456789abcdef") for line in lines):
        raise Fault(f"{path}: not keys of 64 hexadecimal digits (small letters)")
    return lines


def now():
    return datetime.datetime.now(datetime.UTC)


def _builder(subject, issuer, public_key, end):
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - _DAY)  # clocks differ
        .not_valid_after(end)
    )


def _issuer(ca):
    """The key identifier that the CA's certificate itself states, if it does."""
    with contextlib.suppress(x509.ExtensionNotFound):
        stated = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(stated)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())


def _usage(*uses):
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def common_name(certificate):
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return names[0].value if names else ""


def public(holder):
    """The public key of a certificate or a private key, as bytes that can be compared."""
    return holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None


def read_certificate(path):
    """The one certificate in a file, PEM or DER; Fault."""
    data = _read(path)
    try:
        if b"-----BEGIN" not in data:
            return x509.load_der_x509_certificate(data)
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise Fault(f"{path}: no certificate (PEM or DER)") from None
    if len(found) > 1:
        raise Fault(f"{path}: {len(found)} certificates; a node takes one")
    return found[0]


def read_key(path, ask):
    """The private key in a file, PEM or DER; ask(what) for its word if it is encrypted. Fault."""
    data = _read(path)
    load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    word = None
    try:
        try:
            return load(data, None)
        except TypeError:  # encrypted
            word = ask(f"the key in {path}").encode()
            return load(data, word)
    except (ValueError, TypeError):
        what = "the word for it is wrong, or it is damaged" if word else "no private key (PEM or DER)"
        raise Fault(f"{path}: {what}") from None
