"""What somebody asks of an appliance: a command, checked. Loaded for that, then let go."""

import json

from micropython import const

_FAR_S = const(345600)  # four days: as far as plans go
_KEYS = {  # (kinds, least, most)
    "finish_by": (("run", "charge"), 1, 0xFFFFFFFF),
    "duration_s": (("run",), 0, 86400),
    "energy_wh": (("run", "charge"), 0, 1000000),
    "temperature": (("thermostat",), -10000, 20000),
    "stored_wh": (("supply",), 0, 1000000),
}


def demand(command, loads, clock, up_s, to_all):
    """Take {"appliance": name, ...}, JSON or a dict; whether it changes plans. ValueError: what is wrong.

    A run: finish_by (SOC, within four days; none: as soon as possible), duration_s (0: not any more), energy_wh;
    none of it once it has begun. A charge: finish_by, energy_wh (0: not any more). A thermostat: temperature. A
    battery: stored_wh. What is not said is as configured. up_s: seconds since the start. to_all: only
    whose appliance it is takes it, others pass.
    """
    asked = command if isinstance(command, dict) else json.loads(command)
    name = asked.get("appliance") if isinstance(asked, dict) else None
    found = [one for one in loads if one.name == name]
    if not found and to_all:
        return False
    if not found:
        raise ValueError("appliance: one of " + ", ".join([one.name for one in loads]))
    one = found[0]
    for key, value in asked.items():
        if key == "appliance":
            continue
        kinds, least, most = _KEYS.get(key, ((), 0, 0))
        if one.kind not in kinds:
            raise ValueError("%s: not a key of a %s" % (str(key)[:16], one.kind))
        if type(value) is not int or not least <= value <= most:
            raise ValueError("%s: must be a whole number from %d to %d" % (key, least, most))
    if one.kind == "thermostat" or one.kind == "supply":
        if len(asked) < 2:
            raise ValueError("%s: nothing is said" % name)
        if one.kind == "supply":
            one.stored = 3600 * min(asked["stored_wh"], one.keys["wh"])
        else:
            one.given, one.given_s = asked["temperature"], up_s
        return False
    finish_by = asked.get("finish_by", 0)
    if one.begun:
        raise ValueError("%s: it has begun" % name)
    if finish_by and clock.known and not 0 < finish_by - clock.soc() <= _FAR_S:
        raise ValueError("finish_by: must be within four days from now")
    from firmware.plans import job

    one.asked = True
    one.finish_by = finish_by
    job(one, asked)
    return True
