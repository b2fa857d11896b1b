"""The configuration of a node: every key with its default, its bounds and its meaning, and the check of it."""

from settings.rules import (
    anything,
    brokers,
    country,
    hosts,
    one_of,
    passphrase,
    pins,
    power_of_two,
    text,
    truth,
    whole,
)

REQUIRED = None  # in place of a default
OPTIONAL = ()  # in place of a section's default: it may be missing, and is None then
SECRETS = ("broker.password", "gossip.node_key", "gossip.segment_key", "wifi.password")  # are never shown
HIDDEN = SECRETS + ("broker.key",)  # no message shows these: a key may stand where its path belongs


class ConfigError(ValueError):
    """One line for each mistake: its path, what is there and what is allowed."""


_LEVEL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
FORMATS = ("int16-polar", "int16-rectangular", "float32-polar", "float32-rectangular")


def objects(value):
    ok = isinstance(value, list) and len(value) <= 4 and all(isinstance(one, dict) for one in value)
    return None if ok else "a list of up to 4 objects"


# key: (check or nested schema, default, meaning). A default of REQUIRED must be given. A nested schema by its name
# is in settings.segment: a node that only measures does without, the names there would stay in its memory.
SCHEMA = {
    "id": (
        text(64, chars=_LEVEL),
        REQUIRED,
        "producer id: last level of every topic, and the MQTT client id",
    ),
    "role": (
        one_of("ied", "meter", "ssc"),
        "meter",
        "an appliance; a household's meter, which measures if it has a measurement; a substation's controller",
    ),
    "topic": (
        {
            "area": (text(64, chars=_LEVEL), REQUIRED, "first level of the topic"),
            "location_type": (text(64, chars=_LEVEL), REQUIRED, "second level"),
            "location_id": (text(64, chars=_LEVEL), REQUIRED, "third level"),
        },
        REQUIRED,
        "where the node is",
    ),
    "broker": (
        {
            "host": (text(255, 0), "", "name or address of the MQTT broker; empty: none, if nothing is measured"),
            "port": (whole(1, 65535), 1883, "8883 is usual with TLS"),
            "user": (text(255, 0), "", "empty: none"),
            "password": (text(255, 0), "", "never logged"),
            "ca": (
                text(255, 0),
                "",
                "path of the CA certificate (PEM or DER): TLS, which must name `host`; empty: no TLS",
            ),
            "certificate": (text(255, 0), "", "path of the node's own certificate (DER), for mutual TLS"),
            "key": (text(255, 0), "", "path of its private key (DER, P-256)"),
            "keepalive_s": (
                whole(2, 3600),
                10,
                "half of it in silence: ping; one and a half: the link is given up",
            ),
            "window": (whole(1, 128), 32, "messages in flight"),
            "fallback": (brokers, [], "taken in turn while `host` fails, with the same user and CA; nearest first"),
            "back_after_s": (whole(1, 86400), 60, "how long `host` must answer before the node returns to it"),
            "max_packet": (whole(64, 65536), 1024, "largest packet accepted from the broker, bytes"),
        },
        {},
        "where frames, STATUS and EVENT go",
    ),
    "measurement": (
        {
            "station": (text(16), "Gridmote", "STN of the configuration frame"),
            "idcode": (whole(1, 65534), REQUIRED, "IDCODE of the stream"),
            "f0_hz": (one_of(50, 60), 50, "nominal frequency"),
            "rate": (one_of(1, 2, 5, 10, 12, 15, 20, 25, 30, 50, 60, 100, 120), 50, "frames per second"),
            "format": (
                one_of(*FORMATS),
                "int16-polar",
                "of the phasors; FREQ and DFREQ are int16 or float32 alike",
            ),
            "frequency_from": (
                whole(-1, 31),
                -1,
                "the channel whose frequency and ROCOF the frame states; -1: the first voltage, if there is one",
            ),
            "block_ms": (whole(5, 200), 20, "length of a sample block"),
            "trigger": (
                {
                    "frequency_mhz": (whole(0, 10000), 0, "deviation from nominal, mHz; 0: off"),
                    "rocof_mhz_s": (whole(0, 30000), 0, "rate of change of frequency, mHz/s; 0: off"),
                    "under_percent": (whole(0, 99), 0, "voltage below this part of nominal_v; 0: off"),
                    "over_percent": (whole(0, 300), 0, "voltage above this part of nominal_v; 0: off"),
                    "nominal_v": (whole(1, 1000000), 230, "rms volts"),
                },
                {},
                "what sets the trigger bits of STAT, and keeps the outbox at full rate around it",
            ),
        },
        OPTIONAL,
        "what a meter measures and how it is framed; without it and source nothing is",
    ),
    "source": (
        {
            "kind": (
                one_of("synthetic", "replay", "adc"),
                REQUIRED,
                "a simulated grid, a converted recording (on a computer), or transducers at the board's ADC",
            ),
            "file": (text(255, 0), "", "replay: the .gmr file (gridmote node takes COMTRADE too)"),
            "repeat": (truth, True, "replay: for ever, seamlessly in phase; false: stop at its end"),
            "grid": (anything, {}, "synthetic: its keys are in lib/waveform/grid.py"),
            "adc": (anything, {}, "adc: its keys are in boards/README.md"),
            "test_mode": (
                truth,
                True,
                "mark every frame as test data in STAT (these sources do not measure a grid)",
            ),
        },
        OPTIONAL,
        "where a meter's samples come from",
    ),
    "outbox": (
        {
            "slots": (power_of_two(2, 32768), 256, "frames that have room in RAM"),
            "high_water": (whole(0, 32768), 0, "frames in RAM past which the oldest go to flash; 0: 3/4 of slots"),
            "folder": (text(255, 0), "", "of the flash log; empty: the board's own, on a computer RAM only"),
            "flash_kib": (whole(0, 1 << 20), 0, "what the log may take of the flash; 0: what the board has for it"),
            "backlog_bytes": (whole(200, 16384), 1200, "largest message of frames that waited"),
            "backlog_times": (whole(1, 100), 10, "their pace, in times of the live rate"),
            "around_s": (whole(1, 3600), 10, "full rate for so long after a trigger, however full the log"),
            "again_s": (whole(0, 60), 5, "what a broker forgot of the last seconds is sent again"),
            "erase_ms": (whole(0, 1000), 0, "on a computer: how long it stands still for a block, as flash would"),
        },
        {},
        "what bridges an outage",
    ),
    "energy_s": (whole(1, 86400), 900, "seconds between energy records: the most energy that a power cut can cost"),
    "clock": (
        one_of("system", "network"),
        "system",
        "network: as a board without battery clock, no time before the broker was reached",
    ),
    "ntp": (
        {
            "servers": (hosts, ["pool.ntp.org"], "asked in turn; on a board only, a computer has its clock"),
            "every_s": (whole(16, 86400), 64, "seconds between questions"),
        },
        {},
        "where a board's time comes from",
    ),
    "wifi": (
        {
            "ssid": (text(32, 0), "", "of the access point; empty: no Wi-Fi"),
            "password": (passphrase, "", "never logged; empty: an open network"),
            "country": (country, "", "two letters: which channels are allowed; empty: those allowed everywhere"),
        },
        {},
        "how a board joins the network",
    ),
    "gossip": ("GOSSIP", OPTIONAL, "the gossip among nodes: without a segment key there is none"),
    "tariff": ("TARIFF", OPTIONAL, "how an ied follows tariffs"),
    "appliances": (
        objects,
        [],
        "what an ied switches by price and period, a relay each; up to 4 objects",
    ),
    "board": (
        {
            "led": (whole(-2, 64), -1, "GPIO of the LED; -1: the board's own, -2: none"),
            "relays": (pins, [], "GPIOs of relays, high: on"),
        },
        {},
        "what is connected to a board's pins",
    ),
    "log": (one_of("error", "warning", "info", "debug"), "info", "what is printed: this and all that is graver"),
    "status_s": (whole(1, 86400), 10, "seconds between STATUS messages"),
}


def merge(config, secrets):
    """A new configuration: `secrets`, nested alike, laid over `config`; ConfigError if they hold anything else."""
    mistakes = []
    full = _lay(config, secrets, "", mistakes)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return full


def _lay(config, secrets, path, mistakes):
    if not isinstance(secrets, dict):
        mistakes.append("%s: an object is needed" % (path or "the secrets"))
        return config
    if not isinstance(config, dict):
        return config  # check() tells
    full = dict(config)
    for key, value in secrets.items():
        where = _join(path, key)
        if where in SECRETS:
            full[key] = value
        elif any(secret.startswith(where + ".") for secret in SECRETS):
            full[key] = _lay(config.get(key, {}), value, where, mistakes)
        else:
            mistakes.append("%s: not a secret; those are %s" % (where, ", ".join(SECRETS)))
    return full


def check(config, schema=SCHEMA, path=""):
    """`config` with every default filled in; ConfigError with one line for each mistake, without any secret."""
    mistakes = []
    full = _fill(config, schema, path, mistakes)
    if schema is SCHEMA and not mistakes:
        _agree(full, mistakes)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return full


def _agree(full, mistakes):
    """Parts that need or forbid each other; what one makes of another is filled in."""
    role, relays, gossip = full["role"], len(full["board"]["relays"]), full["gossip"]
    given = [name for name in ("measurement", "source") if full[name]]
    if role != "meter":
        mistakes += ["%s: the role %s measures nothing, leave it out" % (name, role) for name in given]
    elif len(given) == 1:
        other = "source" if given[0] == "measurement" else "measurement"
        mistakes.append("%s: missing (%s); %s alone is of no use" % (other, SCHEMA[other][2], given[0]))
    if given and not full["broker"]["host"]:
        mistakes.append("broker.host: missing (where what is measured goes)")
    if full["appliances"] and role != "ied":
        mistakes.append("appliances: of an ied only, not of the role %s" % role)
    if full["appliances"]:
        from settings.segment import filled

        full["appliances"] = filled(full["appliances"], relays, _fill, mistakes)
    if full["tariff"] is None and (gossip or full["appliances"]):
        full["tariff"] = _fill({}, "TARIFF", "tariff", mistakes)
    if gossip and not gossip["number"]:
        from settings.segment import number_of

        gossip["number"] = number_of(full["id"])


def keys_of(section):
    """The schema of a section, which may be known by its name."""
    if isinstance(section, str):
        from settings import segment

        return getattr(segment, section)
    return section


def _fill(config, schema, path, mistakes):
    schema = keys_of(schema)
    if not isinstance(config, dict):
        mistakes.append("%s: an object is needed" % (path or "the configuration"))
        return {}
    for key in config:
        if key not in schema:
            mistakes.append("%s: unknown; allowed are %s" % (_join(path, key), ", ".join(sorted(schema))))
    full = {}
    for key, (rule, default, meaning) in schema.items():
        where = _join(path, key)
        value = config.get(key, default)
        if value is REQUIRED:
            mistakes.append("%s: missing (%s)" % (where, meaning))
        elif value is OPTIONAL:
            full[key] = None
        elif isinstance(rule, (dict, str)):
            full[key] = _fill(value, rule, where, mistakes)
        else:
            allowed = rule(value) if key in config else None
            if allowed:
                hidden = where in HIDDEN or isinstance(value, (dict, list))  # one may be inside
                shown = "not as given" if hidden else "not %r" % (value,)
                mistakes.append("%s: must be %s, %s" % (where, allowed, shown))
            full[key] = value
    return full


def _join(path, key):
    return "%s.%s" % (path, key) if path else str(key)
