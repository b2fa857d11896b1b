"""Which incidents a node meets: in a month, and in the worst of days."""

DAY_S = 86400
_WIFI = ("ap", "locked", "dhcp")


def day(lot):
    """Hours of it, rather: one of every kind, with minutes in between."""
    incidents = [
        ("cut", 3),
        ("outage", 20),
        ("cut_flash", 5, 1, 2),
        ("broker_dies", False, 30),
        ("wifi", "ap", 100),
        ("clock_steps", 40),
        ("no_time", 120),
        ("bad_config", "torn", 100),
        ("hang", 60),
        ("stall",),
        ("hang_task", "_report"),
        ("socket_raises", ValueError),
        ("flash_raises", MemoryError),
        ("leak", 4000),
        ("full", 60, 200, 100),
        ("cuts_in_a_row", 4),
        ("cut_socket", 7, 2),
        ("outage_crash", 100),
        ("crash_each", 200),
    ]
    return incidents, lambda: 60 + lot.below(200), 0


def month(lot):
    """30 days. What is random is what comes when, at which instant, and in which state the node is by then."""
    incidents = [("cut", 1 + lot.below(40)) for _ in range(18)] + [("cut", 60 * lot.below(600)) for _ in range(5)]
    incidents += [("cut_flash", 1 + lot.below(60), lot.below(3), 1 + lot.below(20)) for _ in range(8)]
    incidents += [("cut_socket", 1 + lot.below(12), 2) for _ in range(4)] + [("cuts_in_a_row", 6)] * 2
    incidents += [("outage", s) for s in (4, 30, 200, 1200, 7200, 32000, 90000, 2 * DAY_S)] + [("flapping", 12)] * 3
    incidents += [("broker_dies", lot.below(2), 40 + lot.below(2000)) for _ in range(5)]
    incidents += [("brokers_die", memory, 20 + lot.below(4000)) for memory in (0, 1, 0)]
    incidents += [("broker_silent", how, s) for how in ("deaf", "mute") for s in (8, 90, 3000)]
    incidents += [("broker_cuts", 4)] * 2 + [("socket_fails", number) for number in (110, 104, 12, 5)]
    incidents += [("wifi", what, s) for what, s in zip(_WIFI * 2, (200, 3600, 1800, 40000, 90, 60))]
    incidents += [("clock_steps", s) for s in (40, -40, 3600, -7200)] + [("no_time", s) for s in (300, 5000, 30000)]
    incidents += [
        (call + "_raises", kind) for kind in (ValueError, MemoryError) for call in ("clock", "socket", "flash")
    ] + [("button",)] * 3
    incidents += [("bad_config", how) for how in ("torn", "garbage", "empty", "schema", "contradiction", "channel")]
    incidents += [("full", 600, 600), ("full", 3600, 20000), ("flash_fails", 600, 300), ("flash_fails", 9000, 4000)]
    incidents += [("flash_fails", 600, 300, True)]
    incidents += [("crash_each", 700)] * 3 + [("crash_soon", n) for n in (2, 5, 9)]
    incidents += [("outage_crash", s) for s in (3, 40, 5000)]
    incidents += [("leak", 40), ("leak", 4000)] + [("hang", s) for s in (9, 60, 3600)] + [("stall",)] * 2
    incidents += [("hang_task", name) for name in ("run2", "run2", "_report")] + [("hang_task", "_watch", 1)]
    for i in range(len(incidents) - 1, 0, -1):
        k = lot.below(i + 1)
        incidents[i], incidents[k] = incidents[k], incidents[i]
    busy_s = sum([400 + sum([n for n in incident[1:] if type(n) is int and n > 100]) for incident in incidents])
    mean_s = max(1000, (30 * DAY_S - busy_s) // len(incidents) - 300)
    return incidents, lambda: mean_s // 2 + lot.below(mean_s), 30 * DAY_S
