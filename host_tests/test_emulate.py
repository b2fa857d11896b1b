"""make emulate without an image says so and is no failure; the emulated board gets a network of its own."""

import json
import os

import pytest

import emulate
from gridmote.node.config import EXAMPLE
from settings.schema import check


def test_without_an_image_it_is_skipped_with_a_word(capsys, tmp_path):
    assert emulate.main([]) == 0
    assert "skipped" in capsys.readouterr().out
    assert emulate.main(["--image", str(tmp_path / "none.uf2")]) == 2


def test_the_configuration_is_for_the_emulated_network():
    made = check(emulate.configuration(EXAMPLE, 12345))
    assert (made["broker"]["host"], made["broker"]["port"]) == ("10.0.0.1", 12345)
    assert made["wifi"]["ssid"] and made["ntp"]["servers"] == ["10.0.0.1"]
    assert made["id"] == EXAMPLE["id"]


def test_a_configuration_that_cannot_be_used_is_told_before_anything_is_fetched(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(emulate, "fetch", lambda: pytest.fail("fetched"))
    image, config = tmp_path / "image.uf2", tmp_path / "meter.json"
    image.write_bytes(b"")
    for text, words in ((None, "No such file"), ("{", "not JSON"), ("[]", "an object is needed"),
                        (json.dumps({**EXAMPLE, "colour": 1}), "colour"), ('{"id": "x"}', "topic")):
        if text is not None:
            config.write_text(text)
        assert emulate.main(["--image", str(image), "--config", str(config)]) == 1
        said = capsys.readouterr().err
        assert words in said and all(line.startswith("emulate: ") for line in said.splitlines())


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_flash_and_meter_on_an_emulated_pico_w():
    """GRIDMOTE_UF2 names the image; GRIDMOTE_BOARD_SPEC another BoardSpec than that of a stock Pico W."""
    image = os.environ.get("GRIDMOTE_UF2")
    if not image:
        pytest.skip("no image: GRIDMOTE_UF2=... names MicroPython 1.25 for the Pico W")
    spec = os.environ.get("GRIDMOTE_BOARD_SPEC")
    assert emulate.main(["--image", image, "--once", *(["--spec", spec] if spec else [])]) == 0
