"""Keeps the node in its Wi-Fi network: joins, waits, gives up and joins again, for years."""

from time import ticks_add, ticks_diff

from micropython import const

_JOIN_MS = const(30000)  # for joining and for an address
_SETTLE_MS = const(3000)  # the ESP32 may still tell of the network before
_GAP_MS = const(1000)  # it leaves a network in the background, and refuses to join one meanwhile
_SOON_MS = const(2000)  # until the first try again, twice as long after each that fails, up to:
_ABSENT_MS = const(30000)  # an access point comes back at any time; looking for it costs nothing else
_PASSWORD_MS = const(300000)  # a wrong password is repaired by people
_RESET_MS = const(120000)  # without network: the radio is switched off and on, then again every:
_RESET_AGAIN_MS = const(300000)
_UNREACHED_MS = const(300000)  # "up", but no broker: the access point may have gone without a word


class Radio:
    """station: the board's, None where there is no radio. ssid: "" for no Wi-Fi. log: a Log.

    `step(now, reached)`: often; whether a broker is connected. Never waits, but switching the radio on holds 0.8 s.
    `state`: "up"; "joining"; "address": joined, but without an address; "password": refused; "absent": no such
    access point answers; "off": no radio, no ssid, or a radio that fails. `on_up`: functions, called when it
    came up.
    """

    def __init__(self, station, ssid, password, country, log):
        self._station = station
        self._ssid = ssid
        self._password = password
        self._country = country
        self._log = log
        self.state = "off"
        self.on_up = []
        self._on = False  # the radio was switched on
        self._joining = False  # else the next try is due at _due_ms
        self._due_ms = self._since_ms = self._heard_ms = 0
        self._wait_ms = _SOON_MS
        self._reset_ms = _RESET_MS
        self._why = ""  # the state in which the last try ended
        self._told = "off"
        self._begun = False

    def step(self, now, reached=True):
        if not self._station or not self._ssid:
            return
        if not self._begun:
            self._begun = True
            self._due_ms = self._heard_ms = now
        try:
            if self._on:
                self._look(now, reached)
            elif ticks_diff(now, self._due_ms) >= 0:
                if self._why == "off":
                    self._station.off()
                self._station.on(self._country)
                self._on = True
                self._join(now)
        except Exception as e:  # ValueError: a country that the radio does not know
            self._on = self._joining = False
            self._failed(now, "off", e)

    def _look(self, now, reached):
        state = self._station.state()
        if state == "up" and self._joining:
            self._welcome(now, reached)
            return
        if self.state == "up" and state in ("off", "absent"):
            self._leave(now)  # it has just been lost: the next try tells why
        if ticks_diff(now, self._heard_ms) > self._reset_ms:
            self._renew(now)
        elif not self._joining:
            if ticks_diff(now, self._due_ms) >= 0:
                self._join(now)
        elif ticks_diff(now, self._since_ms) > _JOIN_MS:
            self._station.leave()
            self._failed(now, state)
        elif state in ("joining", "address"):
            if state == "address" or not self._why:  # else why the last try failed says more
                self._tell(state)
        elif ticks_diff(now, self._since_ms) > _SETTLE_MS:
            self._station.leave()
            self._failed(now, state)

    def _welcome(self, now, reached):
        self._since_ms = now
        if self.state != "up":
            self._heard_ms = now
            self._why = ""
            self._reset_ms = _RESET_MS
            self._tell("up")
            for tell in self.on_up:
                tell()
        elif reached:
            self._heard_ms = now
        elif ticks_diff(now, self._heard_ms) > _UNREACHED_MS:
            self._heard_ms = now
            self._log.warning("Wi-Fi: no broker for %d s, joining anew", _UNREACHED_MS // 1000)
            self._leave(now)

    def _leave(self, now):
        self._station.leave()
        self._joining = False
        self._due_ms = ticks_add(now, _GAP_MS)
        self._tell("joining")

    def _join(self, now):
        self._station.join(self._ssid, self._password)
        self._joining = True
        self._since_ms = now
        if not self._why:
            self._tell("joining")

    def _renew(self, now):
        """Off and on."""
        self._log.warning("Wi-Fi: radio reset")
        self._heard_ms = now
        self._reset_ms = _RESET_AGAIN_MS
        self._station.off()
        self._on = self._joining = False
        self._due_ms = ticks_add(now, _GAP_MS)

    def _failed(self, now, state, why=""):
        """When the next try is due: ever later while they fail in the same way."""
        self._joining = False
        self._wait_ms = 2 * self._wait_ms if state == self._why else _SOON_MS
        self._wait_ms = min(self._wait_ms, _ABSENT_MS if state == "absent" else _PASSWORD_MS)
        self._why = state
        self._due_ms = ticks_add(now, self._wait_ms)
        self._tell(state, why)

    def _tell(self, state, why=""):
        self.state = state
        if why:
            state = "%s: %s" % (state, why)
        if state != self._told:
            self._told = state
            self._log.info("Wi-Fi: %s", state)
