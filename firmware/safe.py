"""Safe mode: nothing is measured. The node says what is wrong, as far as it gets, and waits for help."""

import asyncio
import json
import sys
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware import lastgood
from firmware.lamp import SAFE, Lamp
from firmware.log import Log
from firmware.modules import forget

HOUR_S = 3600  # until a normal start is tried again
TURN_S = 300  # that one configuration has for reaching its broker
_STEP_MS = const(50)
_STATUS_S = const(60)
_RETRY_MS = const(5000)
_WHY_MOST = const(240)
_NONE = "-"  # in place of a broker that is not known
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
        if config["broker"]["host"] != _NONE and config not in configs:
            configs.append(config)
    del check
    forget("settings.schema")
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
        "broker": {"host": _NONE},
        "measurement": {"idcode": 1},
        "source": {"kind": "synthetic"},
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
        from firmware.radio import Radio
        from firmware.session import Session
        from mqtt.publish import Publish

        log = Log(board.write, "info")
        self._log = log
        wifi, broker = config["wifi"], config["broker"]
        tls = bool(broker["ca"])
        self._why = _open(board, config, log, found.why)
        self._mute = tls and not broker["ca"]  # a password is not for everybody to read
        if self._mute:
            log.warning("broker %s: not without TLS", broker["host"])
        self._board = board
        self._facts = found.facts
        self._ask = ask
        self._radio = Radio(board.network.station, wifi["ssid"], wifi["password"], wifi["country"], log)
        self._broker = broker
        self._asking = None
        if hasattr(board.clock, "sampled"):  # a certificate is judged by the time
            from firmware.ntp import Asker

            asker = Asker(board.clock, board.network, config["ntp"]["servers"], config["ntp"]["every_s"], log)
            self._asking = asyncio.create_task(asker.run(board.clock.reached))
        self._topic = [config["topic"][key] for key in ("area", "location_type", "location_id")] + [config["id"]]
        self._packet = Publish(self._name("STATUS"), 1024)
        user = broker["user"].encode() or None
        self._session = Session(
            config["id"].encode(), board.network, user, broker["password"].encode(), 30, 4, 1024
        )
        self._session.set_last_will(self._packet.topic, b'{"state": "offline"}', True, 1)
        self._session.set_callback(self._command)
        self._session.on_acked = lambda seq: None
        self._due_ms = self._said_ms = self._began_ms = ticks_ms()
        self._told = ""
        self.up = False

    def _name(self, kind):
        return "/".join(self._topic[:3] + [kind, self._topic[3]]).encode()

    def step(self, now):
        from firmware.session import CLOSED, OPEN

        session = self._session
        self._radio.step(now, self.up)
        if session.state == CLOSED:
            self.up = False
            if self._mute:
                return
            if session.error and str(session.error) != self._told:
                self._told = str(session.error)
                self._log.warning("broker %s: %s", self._broker["host"], self._told)
            if ticks_diff(now, self._due_ms) >= 0:
                self._due_ms = ticks_add(now, _RETRY_MS)
                session.open(self._broker["host"], self._broker["port"], bool(self._broker["ca"]), now)
            return
        session.step(now)
        if session.state == OPEN:
            if not self.up:
                self.up = True
                self._told = ""
                self._log.info("broker %s: connected", self._broker["host"])
                session.subscribe(self._name("CMD"))
                self._said_ms = ticks_add(now, -1000 * _STATUS_S)
            if session.ready() and ticks_diff(now, self._said_ms) >= _STATUS_S * 1000:
                self._said_ms = now
                self._say(now)

    def _say(self, now):
        from mqtt.window import FREE

        if self._session.window.full():
            return
        fields = {"state": "safe", "board": self._board.name, "uptime_s": ticks_diff(now, self._began_ms) // 1000}
        fields["heap_free"] = self._board.free_bytes()
        if self._board.network.station:
            fields["rssi"] = self._board.network.station.rssi()
        fields.update(self._facts)
        fields["why"] = self._why
        payload = json.dumps(fields).encode()
        self._session.send(self._packet, payload, 0, len(payload), FREE, now, True)

    def _command(self, topic, payload):
        if self._session._inbound.flags & 1:  # retained: it would come again after each restart
            return
        if payload == b"restart":
            self._ask(payload)
        elif payload == b"status":
            self._said_ms = ticks_add(ticks_ms(), -1000 * _STATUS_S)

    def close(self):
        self._session.leave(ticks_ms())
        if self._asking:
            self._asking.cancel()
        self._board.close()
