"""Where a broker is, and which topics are wanted of it: both as a person writes them."""

from urllib.parse import unquote, urlsplit


class BrokerAddress:
    """`mqtt://user@host:port`, `mqtts://...` or `host:port`; ValueError names what is wrong with it."""

    def __init__(self, text):
        try:
            url = urlsplit(text if "://" in text else "mqtt://" + text)
            port = url.port
        except ValueError as error:
            raise ValueError("broker %r: %s" % (text, error)) from None
        if port == 0:
            raise ValueError("broker %r: port 0 is none that a broker can have" % text)
        if url.scheme not in ("mqtt", "mqtts"):
            raise ValueError("broker %s://: the scheme is mqtt or mqtts" % url.scheme)
        if url.password is not None:
            raise ValueError("broker: no password in the address, where everyone on the machine can read it")
        if not url.hostname or url.path.strip("/") or url.query or url.fragment:
            raise ValueError("broker %r: expected host:port" % text)
        self.tls = url.scheme == "mqtts"
        self.host = url.hostname
        self.port = port or (8883 if self.tls else 1883)
        self.user = unquote(url.username) if url.username else None

    def __str__(self):
        return "%s://%s:%d" % ("mqtts" if self.tls else "mqtt", self.host, self.port)


def topic_filter(text):
    """-> `text`, an MQTT topic filter; ValueError names what is wrong with it."""
    levels = text.split("/")
    wrong = None
    if not text or "\0" in text or len(text.encode()) > 65535:
        wrong = "expected 1 to 65535 bytes, none of them NUL"
    elif "#" in text and (text.count("#") > 1 or levels[-1] != "#"):
        wrong = "# stands alone in the last level"
    elif any("+" in level and level != "+" for level in levels):
        wrong = "+ stands alone in its level"
    if wrong:
        raise ValueError("topic %r: %s" % (text, wrong))
    return text
