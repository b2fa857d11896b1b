"""The schema's secrets: told apart, merged, and never shown by a mistake."""

import os

from certificate import CERTIFICATE

from boards.tls import trusting
from settings.schema import SECRETS, ConfigError, check, merge
from settings.segment import number_of

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
    full = check(dict(valid(), gossip={}))
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


def lean(**sections):
    config = {"id": "a", "role": "ied", "topic": {"area": "a", "location_type": "b", "location_id": "c"}}
    config.update(sections)
    return config


def test_roles():
    for role in ("ied", "meter", "ssc"):
        full = check(lean(role=role))
        assert full["measurement"] is None and full["source"] is None and full["broker"]["host"] == ""
    for role in ("ied", "ssc"):
        told = mistakes(check, dict(valid(), role=role))
        assert told.count("measures nothing") == 2 and told.startswith("measurement: ")
    assert "role: must be one of" in mistakes(check, lean(role="toaster"))
    meter = valid()
    for part, other in (("measurement", "source"), ("source", "measurement")):
        alone = dict(valid())
        del alone[part]
        told = mistakes(check, alone)
        assert told.startswith(part + ": missing") and other in told, told
        assert part + ": " in mistakes(check, dict(valid(), **{part: False}))
    del meter["broker"]
    assert "broker.host: missing" in mistakes(check, meter)


def test_numbers_of_nodes():
    # 2^-2 of the first four bytes of sha256sum's digest of "a"
    key = {"segment_key": "0" * 64}
    assert check(lean(gossip=key))["gossip"]["number"] == 0xCA978112 >> 2 == number_of("a")
    assert check(lean())["gossip"] is None
    assert check(lean(gossip={"number": 16}))["gossip"]["number"] == 16
    for number in (1, 15, -1, 1 << 30, 20.5, True, "20"):
        assert "gossip.number" in mistakes(check, lean(gossip={"number": number})), number
    good = {"seeds": (["a:1", "tcp://b:2", "::1:65535"], []), "group": ("", "224.0.0.251")}
    good["forward"] = ("", "display:9", "10.0.0.1:65535")
    good["notifiers"] = ([], [1, 0x3FFFFFFF])
    bad = {"seeds": (["a"], ["a:"], [":1"], ["a:0"], ["a:65536"], ["a:+1"], ["a:1"] * 9, "a:1", [1])}
    bad["seeds"] += (["tcp://:1"], ["udp://a:1"], ["tcp://a"])
    bad["group"] = ("223.0.0.1", "240.0.0.1", "224.0.0", "224.0.0.256", "224.0.0.x", 7)
    bad["forward"] = ("display", "tcp://a:1", ":1", "a:0", 7)
    bad["notifiers"] = ([0], [1 << 30], ["1"], [16] * 17)
    for key in good:
        for value in good[key]:
            check(lean(gossip={key: value}))
        for value in bad[key]:
            assert "gossip." + key in mistakes(check, lean(gossip={key: value})), value


def test_appliances():
    run = {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 90, "by": 420}
    cool = {"kind": "thermostat", "name": "fridge", "relay": 1, "watts": 90, "normal": 500, "saving": 700}
    cool.update({"storing": 300, "cooling": True})
    full = check(lean(appliances=[run, cool], board={"relays": [3, 4]}))["appliances"]
    assert full[0]["from"] == 0 and full[0]["priority"] == 2 and full[1]["band"] == 50 and "by" not in full[1]
    assert run == {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 90, "by": 420}
    assert len(check(lean(appliances=[run, cool]))["appliances"]) == 2  # a computer has no relays to be named
    for change, where in (
        ({"kind": "toaster"}, "appliances[1].kind: must be"),
        ({"kind": ["run"]}, "appliances[1].kind: must be"),
        ({"watts": 0}, "appliances[1].watts: must be"),
        ({"wats": 1}, "appliances[1].wats: unknown"),
        ({"name": "fridge"}, "appliances[1].name: 'fridge'"),
        ({"relay": 1}, "appliances[1].relay: 1 has another"),
        ({"relay": 2}, "appliances[1].relay: 2, but board.relays"),
        ({"by": 1440}, "appliances[1].by: must be"),
    ):
        told = mistakes(check, lean(appliances=[cool, dict(run, **change)], board={"relays": [3, 4]}))
        assert told.startswith(where), told
    assert "appliances: " in mistakes(check, lean(role="ssc", appliances=[run]))
    for wrong in (run, [run] * 5, ["run"], [None]):
        assert mistakes(check, lean(appliances=wrong)).startswith("appliances: must be"), wrong


def test_appliances_that_could_never_do_it():
    """An hour has 60 minutes, a day 1440; kW times hours are kWh."""
    run = {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 90}
    car = {"kind": "charge", "name": "car", "relay": 0, "watts": 1000, "wh": 12000}
    heat = {"kind": "thermostat", "name": "heat", "relay": 0, "watts": 900, "normal": 2000, "saving": 1900}
    heat["storing"] = 2200
    cool = dict(heat, cooling=True, saving=2200, storing=1900)
    flat = dict(heat, saving=2000, storing=2000)
    for good in (
        dict(run, by=90),
        dict(run, by=30, **{"from": 1380}),
        dict(run, by=600, minutes=1439, **{"from": 601}),
        dict(car, by=720),
        dict(car, wh=24000, by=0),
        dict(car, wh=50000),  # only when it is asked for, perhaps for the day after tomorrow
        heat,
        cool,
        flat,
        dict(flat, cooling=True),
    ):
        check(lean(appliances=[good]))
    for bad, why in (
        (dict(run, by=89), "it takes 90 minutes, but there are 89 between `from` and `by`"),
        (dict(run, by=29, **{"from": 1380}), "it takes 90 minutes, but there are 89 "),
        (dict(car, by=719), "it takes 720 minutes, but there are 719 "),
        (dict(car, wh=50000, by=0), "it takes 3000 minutes, but there are 1440 "),
        (dict(car, wh=12001, by=720), "it takes 721 minutes"),
        (dict(heat, saving=2200, storing=1900), "it heats most at the dearest prices; saving <= normal <= storing"),
        (dict(heat, saving=2001), "it heats most"),
        (dict(heat, storing=1999), "it heats most"),
        (dict(heat, cooling=True), "it cools most at the dearest prices; storing <= normal <= saving is needed"),
    ):
        told = mistakes(check, lean(appliances=[bad]))
        assert told.startswith("appliances[0]: " + why) and "\n" not in told, told
    assert mistakes(check, lean(appliances=[dict(heat, normal="x")])).startswith("appliances[0].normal: must be")


def test_the_seed_that_is_wrong_is_named():
    for entry, named in (("10.0.0.7", "'10.0.0.7'"), (7113, "7113"), ("x" * 300 + ":1", "'" + "x" * 79)):
        told = mistakes(check, lean(gossip={"seeds": ["a:1", entry, "b:2"]}))
        allowed = 'gossip.seeds: must be a list of up to 8 "host:port" or "tcp://host:port"'
        assert told == "%s (%s is neither), not as given" % (allowed, named), told


test_roles()
test_appliances_that_could_never_do_it()
test_the_seed_that_is_wrong_is_named()
test_numbers_of_nodes()
test_appliances()
test_every_secret_is_a_key()
test_merge_lays_over_and_changes_neither()
test_only_secrets_are_secrets()
test_a_mistake_shows_no_secret()
test_a_pasted_key_is_not_shown_when_it_is_read()
test_a_country_is_two_letters_or_none()
test_lengths_of_keys_and_passphrases()
