"""The TLS of a node: whom it trusts, and how it shows who it is. Needed once, at the start."""

import tls


def trusting(broker):
    """A TLS context that accepts what broker.ca has signed, and with broker.certificate shows it; all of them are
    paths. ValueError names the one that is wrong, but never shows broker.key: it may be the key itself."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    authority = _read(broker, "ca")
    try:
        context.load_verify_locations(authority)
    except ValueError as e:
        raise ValueError("broker.ca: %s holds no certificate: %s" % (broker["ca"], e))
    if broker["certificate"] or broker["key"]:
        certificate, key = _read(broker, "certificate"), _read(broker, "key")
        try:
            context.load_cert_chain(certificate, key)
        except ValueError as e:
            wrong = "certificate" if "cert" in str(e) else "key"
            raise ValueError("broker.%s: %s holds none: %s" % (wrong, _shown(broker, wrong), e))
    return context


def _read(broker, which):
    try:
        with open(broker[which], "rb") as file:
            return file.read()
    except OSError as e:
        raise ValueError("broker.%s: %s cannot be read: %s" % (which, _shown(broker, which), e))


def _shown(broker, which):
    return "(none is given)" if not broker[which] else "the file" if which == "key" else broker[which]
