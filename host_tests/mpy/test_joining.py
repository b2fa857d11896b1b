"""Whether a node is part of its segment's gossip: with a segment key it is, without one it says why not."""

from firmware.joining import join


class Log:
    def __init__(self):
        self.said = []

    def warning(self, text, *args):
        self.said.append(text % args)


def test_without_a_segment_key():
    log = Log()
    assert join({"gossip": {"segment_key": ""}}, None, None, 1, log, None, {}) is None
    assert log.said == ["no segment key: no gossip; gridmote provision makes one"]


test_without_a_segment_key()
