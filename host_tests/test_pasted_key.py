"""Where the path of a key belongs, the key itself may stand by mistake: no tool on the host shows it."""

import json

import pytest

from gridmote.fault import Fault
from gridmote.node.config import EXAMPLE, read
from gridmote.provision.identity import Mistakes, plan
from gridmote.provision.values import parsed

KEY = "MHcCAQEEIBpaste0dKey"


def told(call, *args):
    with pytest.raises((Fault, Mistakes, ValueError)) as caught:
        call(*args)
    return str(caught.value)


@pytest.mark.parametrize("key", [KEY, "-----BEGIN EC PRIVATE KEY-----\n" + KEY, KEY * 20])
def test_a_pasted_key_is_not_shown(tmp_path, key):
    given = {**EXAMPLE, "broker": {**EXAMPLE["broker"], "key": key}}
    path = tmp_path / "meter.json"
    path.write_text(json.dumps(given))
    for words in (told(read, path), told(plan, given, {}, input)):
        assert "broker.key" in words and KEY not in words, words
    if len(key) > 255:
        assert KEY not in told(parsed, "broker.key", key)
