"""Safe mode: nothing is measured. The node says what is wrong, as far as it gets, and waits for help."""

import asyncio
import json
import sys
from time import ticks_diff, ticks_ms

from micropython import const

from firmware import lastgood
from firmware.lamp import SAFE, Lamp
from firmware.log import Log
from firmware.modules import forget

HOUR_S = 3600  # until a normal start is tried again
TURN_S = 300  # that one configuration has for reaching its broker
_STEP_MS = const(50)
_STATUS_S = const(60)
_WHY_MOST = const(240)
_LESS = (  # what is done without, one after the other, if the board cannot be opened; never TLS alone
    ("broker", {}),
    ("broker", {}),  # once more, with what the vault gave back
    ("board", {"led": -1, "relays": []}),
    ("broker", {"certificate": "", "key": ""}),
    ("broker", {"ca": ""}),
)


def safe(board, feed, found):
    """found: what boot.boot came to. Restarts the board after an hour, or when CMD says "restart"."""
    board.write("safe mode: " + (found.why or "no configuration"))
    lamp = Lamp(board.led)
    lamp.code = SAFE
    asyncio.get_event_loop().set_exception_handler(_failed)
    asyncio.run(_wait(board, feed, found, lamp))
    board.note = 0
    board.restart()


def _failed(loop, context):
    """Nothing that fails here may hinder the rest."""
    sys.print_exception(context["exception"])


async def _wait(board, feed, found, lamp):
    """Try what there is, in turn, until the hour has passed."""
    asyncio.create_task(lamp.run())
    talking = None
    left_s = 0
    turn = 0
    asked = []  # to restart
    for _ in range(HOUR_S):
        if not left_s and not (talking and talking.up):
            if talking:
                talking.close()
                talking = None
            try:
                configs = _configs(board)
                if configs:
                    talking = _Talking(board, configs[turn % len(configs)], found, asked.append)
            except Exception as e:  # whatever led here may be in the way again
                sys.print_exception(e)
                board.close()
            turn += 1
            left_s = TURN_S
        left_s = TURN_S if talking and talking.up else max(0, left_s - 1)
        for _ in range(1000 // _STEP_MS):
            feed()
            if talking:
                try:
                    talking.step(ticks_ms())
                except Exception as e:
                    sys.print_exception(e)
                    talking.close()
                    talking = None
            await asyncio.sleep_ms(_STEP_MS)
        if asked:
            break
    if talking:
        talking.close()


def _configs(board):
    """The configurations that name a broker, as far as they can be used, the given one first."""
    from settings.schema import check

    configs = []
    for which in (lastgood.GIVEN, lastgood.GOOD, lastgood.VAULT):
        try:
            config = _usable(*[_json(data) for data in lastgood.read(board, which)], board.identity, check)
        except Exception:  # whatever bytes can do to it
            continue
        if config["broker"]["host"] and config not in configs:
            configs.append(config)
    del check
    forget("settings.schema", "settings.rules", "settings.segment")
    return configs


def _json(data):
    """The object in it, empty if there is none."""
    try:
        found = json.loads(data)
    except Exception:  # whatever bytes can do to it
        found = None
    return found if isinstance(found, dict) else {}


def _usable(given, secrets, identity, check):
    """A checked configuration with what of these can be used for reaching a broker."""
    config = {
        "id": "gridmote-" + identity,
        "topic": {"area": "unknown", "location_type": "unknown", "location_id": identity},
        "role": "ied",
    }
    for part in (given, secrets):
        for name in ("id", "topic", "broker", "wifi", "ntp", "board"):
            if name in part:
                config = _lay(config, name, part[name], check)
    return check(config)


def _lay(config, name, value, check):
    """`config` with that in it, or as much of it as holds."""
    whole = dict(config)
    whole[name] = value
    try:
        if isinstance(value, dict):
            whole[name] = dict(config.get(name, {}))
            whole[name].update(value)
        check(whole)
        return whole
    except Exception:  # TypeError: an object where none belongs
        pass
    if isinstance(value, dict) and len(value) > 1:
        for key in value:
            config = _lay(config, name, {key: value[key]}, check)
    return config


def _open(board, config, log, why):
    """Open the board with what works of `config`, which is changed: to join Wi-Fi needs neither pins nor TLS.
    Returns `why` and what did not work."""
    for i, (part, less) in enumerate(_LESS):
        config[part].update(less)
        try:
            board.open(config)
            return why
        except Exception as e:
            board.close()
            lastgood.restore(board)
            if i == len(_LESS) - 1:
                raise
            if str(e) not in why:
                from firmware.crashes import plain

                log.warning("%s", e)
                why = plain("%s; %s" % (why, e))[:_WHY_MOST]


class _Talking:
    """On the way to one broker, or there (`up`)."""

    def __init__(self, board, config, found, ask):
        from firmware import parts
        from firmware.teller import Teller

        log = Log(board.write, "info")
        broker = config["broker"]
        tls = bool(broker["ca"])
        self._why = _open(board, config, log, found.why)
        self._board = board
        self._facts = found.facts
        self._ask = ask
        self._radio = parts.radio(config, board.network, log)
        self._asking = self._teller = None
        self._began_ms = ticks_ms()
        asker = parts.asker(config, board, log)
        if asker:  # a certificate is judged by the time
            self._asking = asyncio.create_task(asker.run(board.clock.reached))
        if tls and not broker["ca"]:  # a password is not for everybody to read
            log.warning("broker %s: not without TLS", broker["host"])
            return
        topic = parts.topics(config)
        broker["window"], broker["keepalive_s"] = 4, 30
        session = parts.session(config, board.network, topic)
        brokers = parts.brokers(broker, board.network)
        self._teller = Teller(session, brokers, tls, topic, self._fields, None, self._command, log, _STATUS_S)

    @property
    def up(self):
        return bool(self._teller and self._teller.up)

    def step(self, now):
        if self._radio:
            self._radio.step(now, self.up)
        if self._teller:
            self._teller.step(now)

    def _fields(self):
        board = self._board
        fields = {"state": "safe", "board": board.name, "uptime_s": ticks_diff(ticks_ms(), self._began_ms) // 1000}
        fields["heap_free"] = board.free_bytes()
        if self._radio:
            fields["rssi"] = board.network.station.rssi()
        fields.update(self._facts)
        fields["why"] = self._why
        return fields

    def _command(self, payload):
        if payload == b"restart":
            self._ask(payload)

    def close(self):
        if self._teller:
            self._teller.session.leave(ticks_ms())
        if self._asking:
            self._asking.cancel()
        self._board.close()
