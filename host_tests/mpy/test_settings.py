"""The schema's secrets: told apart, merged, and never shown by a mistake."""

import os

from certificate import CERTIFICATE

from boards.tls import trusting
from settings.schema import SECRETS, ConfigError, check, merge

HIDDEN = "hidden-4711"
PEM = "/tmp/gridmote-settings-%s.pem" % os.urandom(4).hex()


def valid():
    return {
        "id": "765",
        "topic": {"area": "a", "location_type": "b", "location_id": "c"},
        "broker": {"host": "h"},
        "measurement": {"idcode": 1},
        "source": {"kind": "synthetic"},
    }


def mistakes(call, *args):
    try:
        call(*args)
    except ConfigError as e:
        return str(e)
    raise AssertionError("no mistake found")


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def test_every_secret_is_a_key():
    full = check(valid())
    for secret in SECRETS:
        section, key = secret.split(".")
        assert full[section][key] == ""


def test_merge_lays_over_and_changes_neither():
    config, secrets = valid(), {"broker": {"password": HIDDEN}, "wifi": {"password": HIDDEN}}
    full = check(merge(config, secrets))
    assert full["broker"]["password"] == full["wifi"]["password"] == HIDDEN and full["broker"]["host"] == "h"
    assert config == valid() and "host" not in secrets["broker"]
    assert check(merge(valid(), {})) == check(valid())


def test_only_secrets_are_secrets():
    for path in ("id", "broker.host", "broker", "log", "no.such", "broker.password.deep"):
        told = mistakes(lambda path: check(merge(valid(), nested(path, HIDDEN))), path)
        assert path.split(".")[0] in told and HIDDEN not in told, told
    for secrets in ([HIDDEN], HIDDEN, None, 7):
        told = mistakes(merge, valid(), secrets)
        assert told == "the secrets: an object is needed"
    assert merge([HIDDEN], {"wifi": {"password": HIDDEN}}) == [HIDDEN]
    assert HIDDEN not in mistakes(check, [HIDDEN])


def test_a_mistake_shows_no_secret():
    long = HIDDEN * 30
    wrong = [nested(secret, value) for secret in SECRETS for value in (long, [HIDDEN], {"x": HIDDEN}, 4711)]
    wrong += [{"broker": {"host": "h", "key": value}} for value in (long, [HIDDEN], 4711)]
    wrong += [{"broker": HIDDEN}, {"wifi": [HIDDEN]}, {"gossip": {"node_key": HIDDEN, "key": HIDDEN}}]
    wrong += [{"broker": {"host": "h", "fallback": [{"host": "h", "port": 1, "password": HIDDEN}]}}]
    wrong += [{"log": {"password": HIDDEN}}, {"wifi": {"pasword": HIDDEN}}]
    for part in wrong:
        config = valid()
        config.update(part)
        told = mistakes(check, config)
        assert HIDDEN not in told and "4711" not in told, told


def test_a_pasted_key_is_not_shown_when_it_is_read():
    with open(PEM, "w") as file:
        file.write(CERTIFICATE)
    for value in (HIDDEN, "-----BEGIN\n" + HIDDEN, "host_tests/../README.md"):
        broker = check(dict(valid(), broker={"host": "h", "ca": PEM, "certificate": PEM, "key": value}))["broker"]
        try:
            trusting(broker)
            raise AssertionError("no key, but taken")
        except ValueError as e:
            told = str(e)
        assert told.startswith("broker.key: the file ") and value not in told, told
    os.remove(PEM)


def test_a_country_is_two_letters_or_none():
    for value, good in (("", 1), ("DE", 1), ("it", 1), ("D", 0), ("DEU", 0), ("D1", 0), ("ÄÖ", 0), (7, 0)):
        config = dict(valid(), wifi={"ssid": "s", "country": value})
        if good:
            check(config)
        else:
            assert "wifi.country: must be two letters" in mistakes(check, config), value


def test_lengths_of_keys_and_passphrases():
    good = {"gossip.segment_key": ("", "0" * 64, "aF" * 32), "gossip.node_key": ("", "1" * 64)}
    good.update({"gossip.tariff_key": ("", "0" * 96, "0" * 112), "wifi.password": ("", "8" * 8, "p" * 63)})
    bad = {"gossip.segment_key": ("0" * 63, "0" * 65, "g" * 64, "0" * 62), "gossip.node_key": ("0x" + "1" * 62,)}
    bad.update({"gossip.tariff_key": ("0" * 64, "0" * 97), "wifi.password": ("7" * 7, "p" * 64)})
    for path, values in good.items():
        for value in values:
            config = valid()
            config.update(nested(path, value))
            check(config)
    for path, values in bad.items():
        for value in values:
            config = valid()
            config.update(nested(path, value))
            assert path in mistakes(check, config), value


test_every_secret_is_a_key()
test_merge_lays_over_and_changes_neither()
test_only_secrets_are_secrets()
test_a_mistake_shows_no_secret()
test_a_pasted_key_is_not_shown_when_it_is_read()
test_a_country_is_two_letters_or_none()
test_lengths_of_keys_and_passphrases()
