"""The summary of the demonstration, for people: rows of (what, value, remark)."""

from gridmote.demo.evidence import plural


def title(result):
    if not result["complete"]:
        return "NOT COMPLETE"
    if not result["loss_most"]:
        return "Nothing is missing"
    if not result["lost_by_kill"]:
        return f"Nothing is missing; the kill cost nothing, where {result['loss_most']} frames were allowed for"
    return (f"Nothing is missing but what the kill cost: {plural(result['lost_by_kill'])}, where at most "
            f"{result['loss_most']} were promised")


def count_rows(result):
    *killed, last = result["made_by_life"]
    made = "the node's own count in its last STATUS"
    if killed:
        made = f"until the kill {killed[0]} at most, by the clock; then {last}, its count"
    rows = [
        ("frames made", result["made"], made),
        ("published", result["published"], "seen by another subscriber"),
        ("archived", result["archived"], "SQLite, each exactly once"),
        ("at the PDC", result["at_client"], "C37.118 over TCP" + (
            f"; {result['late']} came late, for the archive only" if result["late"] else "")),
        ("missing", result["missing"], "not whole in the archive, or live but not at the PDC"),
    ]
    if killed:
        rows.append(("lost by the kill", result["lost_by_kill"],
                     f"at most, out of RAM; the meter promised {result['loss_most']} at most"))
    return [
        *rows,
        ("not measured", result["not_measured"], "blocks or frames lost before they were made"),
        ("still waiting", result["waiting"], "on flash and in RAM, at the node's good-bye"),
        ("duplicated", result["duplicated_on_the_wire"],
         f"on MQTT, harmless; in the archive 0, at the PDC {result['duplicated_at_client']}"),
        ("events, energy records", result["durable"], f"{result['durable_missing']} missing between them"),
    ]


def recovery_rows(result):
    after = "after the broker was back" if result["outage_ms"] else "after the kill"
    rows = []
    if result["outage_ms"]:
        rows.append(("broker away", f"{result['outage_ms'] / 1000:.1f} s", "SIGKILL until it listened again"))
    if result["dead_ms"] is not None:
        rows.append(("meter away", f"{result['dead_ms'] / 1000:.1f} s", "SIGKILL until its first sample"))
    if result["live_again_ms"] is not None:
        rows.append(("live again at the PDC", f"{result['live_again_ms']} ms", after))
    if result["backlog_gone_ms"] is not None:
        rows.append(("backlog gone", f"{result['backlog_gone_ms'] / 1000:.1f} s",
                     f"{after}: {result['backlog']} frames behind the live ones"))
    return rows


def latency_rows(result):
    def both(name, place):
        values = [result[f"{name}_to_{place}_p{percent}_ms"] for percent in (50, 99)]
        return " / ".join("-" if value is None else f"{value:.1f}" for value in values) + " ms"

    window, block = (f"{result[name]:.0f} ms" for name in ("estimator_delay_ms", "block_wait_mean_ms"))
    pace = "after the block that ends the window; paced to 1 ms"
    of_it = f"{window} of it are the window, {block} the sample block"
    rows = [
        ("transport to the PDC, p50 / p99", both("transport", "client"), pace),
        ("transport to the archive", both("transport", "archive"), "the same, to the receipt by the adapter"),
        ("time stamp to the PDC", both("total", "client"), of_it),
    ]
    if result["draining_to_client_p50_ms"] is not None:
        rows.insert(1, ("… while the backlog drains", both("draining", "client"), "the same, of live frames"))
    return rows


def accuracy_rows(result, what):
    def both(name, unit, sign):
        values = (result[f"{name}_mean_{unit}"], result[f"{name}_max_{unit}"])
        return " / ".join("-" if value is None else f"{value:.3f}" for value in values) + " " + sign

    steady, compared = result["frames_steady"], result["frames_compared"]
    over = f"over {steady} frames" + (" without a step in their window" if steady < compared else "")
    return [
        ("TVE, mean / max", both("tve", "percent", "%"), f"against {what}"),
        ("frequency error, mean / max", both("frequency_error", "mhz", "mHz"), over),
    ]
