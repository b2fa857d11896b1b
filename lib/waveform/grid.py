"""What a synthetic grid can be told: names and defaults."""

# Frequency in Great Britain on 9 August 2019: seconds after the trip, Hz.
TRAJECTORIES = {"gb-2019-08-09": [(0, 50.0), (25, 49.1), (45, 49.2), (58, 49.2), (76, 48.8), (282, 50.0)]}

DEFAULTS = {
    "fs_hz": 1600,
    "f0_hz": 50,
    "frequency_offset_hz": 0.0,
    "voltage_v": 230.0,  # rms, phase to neutral
    "current_a": 10.0,
    "current_angle_deg": -30.0,
    "channels": None,  # instead of three voltages and currents: name, kind, phase, magnitude (rms), angle_deg
    "magnitude_pu": 1.0,  # of all channels; their scale stays
    "peak_counts": 20000,  # of a channel at magnitude 1
    "harmonics": [],  # (order, fraction, phase_deg): cos(order * theta + phase), theta the fundamental's
    "noise_counts": 0.0,  # rms; white, equally distributed, period 8e12
    "seed": 1,
    "ramps": [],  # (t0_s, t1_s, hz_per_s), added to the frequency
    "trajectory": None,  # [(t_s, hz), ...] linear between, or a name in TRAJECTORIES; replaces f0 and offset
    "trajectory_start_s": 0.0,
    "compression": 1.0,  # the trajectory runs so many times as fast
    "steps": [],  # (t_s, magnitude factor, angle_deg): both hold from t on, relative to the beginning
    "modulation": None,  # (kx, ka_rad, fm_hz): (1 + kx cos wt), ka cos(wt - pi); C37.118.1 5.5.6
}


def settings(config):
    """`config` with the defaults filled in; ValueError for a name that does not exist or a value of no use."""
    for name, value in config.items():
        if name not in DEFAULTS:
            raise ValueError("%s: unknown, allowed are %s" % (name, ", ".join(sorted(DEFAULTS))))
        default = DEFAULTS[name]
        if isinstance(default, (int, float)):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError("%s: must be a number, not %r" % (name, value))
        elif isinstance(default, list) and not isinstance(value, (list, tuple)):
            raise ValueError("%s: must be a list, not %r" % (name, value))
    if config.get("channels") == []:
        raise ValueError("channels: at least one is needed")
    full = dict(DEFAULTS)
    full.update(config)
    if full["channels"] is None:
        full["channels"] = [
            {"name": kind + phase, "kind": kind, "phase": phase, "magnitude": rms, "angle_deg": angle + turn}
            for kind, rms, angle in (
                ("V", full["voltage_v"], 0.0),
                ("I", full["current_a"], full["current_angle_deg"]),
            )
            for phase, turn in (("A", 0), ("B", -120), ("C", 120))
        ]
    points = full["trajectory"]
    if points is None:
        points = [(0, full["f0_hz"] + full["frequency_offset_hz"])]
    elif isinstance(points, str):
        if points not in TRAJECTORIES:
            raise ValueError("trajectory %s: unknown, allowed are %s" % (points, ", ".join(TRAJECTORIES)))
        points = TRAJECTORIES[points]
    full["trajectory"] = [(full["trajectory_start_s"] + t / full["compression"], hz) for t, hz in points]
    return full
