"""Files of signed messages."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.fault import Fault
from gridmote.tariff.messages import Message, line_of, read, write
from host_tests.property import examples

GOOD = Message(1, 7, 7, 65535, bytes(range(200)), "tariff 7: 48 half hours")


def test_written_and_read_again(tmp_path):
    path, other = tmp_path / "a.signed", GOOD._replace(seq=8, payload=b"\1")
    write(path, [GOOD, other], False)
    assert read(path) == [GOOD, other] and [each.name for each in tmp_path.iterdir()] == ["a.signed"]
    with pytest.raises(Fault, match=r"a.signed exists; --force writes over it"):
        write(path, [other], False)
    write(path, [other], True)
    assert read(path) == [other]


@pytest.mark.parametrize(("change", "said"), [
    ({"origin": 16}, "origin is not 1 to 15"), ({"origin": True}, "origin is not 1 to 15"),
    ({"seq": 0}, "seq is not 1 to 1073741823"), ({"seq": 7.0}, "seq is not 1"),
    ({"reach": 8}, "reach is not 1 to 7"),
    ({"lifetime_s": None}, "lifetime_s is not 1 to 65535"), ({"payload": "0"}, "non-hexadecimal"),
    ({"payload": ""}, "payload is not 1 to 1199 bytes"),
    ({"payload": "00" * 1200}, "payload is not 1 to 1199 bytes"),
    ({"payload": 7}, "payload is no text"),
])
def test_what_is_no_message(tmp_path, change, said):
    path = tmp_path / "a"
    path.write_text(line_of(GOOD) + "\n" + json.dumps({**json.loads(line_of(GOOD)), **change}))
    with pytest.raises(Fault, match=said) as fault:
        read(path)
    assert str(fault.value).startswith(f"{path}:3: no signed message: ")


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: (
    st.lists(inner) | st.dictionaries(st.sampled_from(Message._fields), inner))).map(json.dumps))
@examples(100)
def test_any_file_is_read_or_a_fault(tmp_path_factory, text):
    path = Path(tmp_path_factory.getbasetemp()) / "any"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(Fault):
        read(path)
