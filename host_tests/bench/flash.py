"""What the outbox costs: erases of flash, years of it, bytes a frame, time of an append and of a recovery, heap."""

from concurrent.futures import ThreadPoolExecutor

from host_tests.bench.codec import node

_DAYS = 20
_CYCLES = 100_000
_FRAMES = 63  # of 52 bytes in a block


def _measure(*args, name="micropython"):
    return node(name, "node_outbox.py", *args, heapsize="16M", timeout_s=600)


def run(_folder):
    figures = {}
    kinds = ("rp2", "esp32")
    with ThreadPoolExecutor(2) as pool:
        worn = list(pool.map(lambda kind: _measure("wear", kind, _DAYS), kinds))
    for kind, wear in zip(kinds, worn, strict=True):
        erases = _measure("erases", kind)
        figures[f"outbox_erases_per_1000_{kind}"] = erases["ours"]
        figures[f"outbox_erases_per_1000_flushed_{kind}"] = erases["flushed"]
        figures[f"outbox_years_to_100k_erases_{kind}"] = _CYCLES / wear["worst"] / 365
        figures[f"outbox_years_to_100k_erases_mean_{kind}"] = _CYCLES / wear["mean"] / 365
        figures["outbox_flash_bytes_per_frame"] = erases["bytes_per_frame"]
    append = _measure("append")
    whole = {at: append[f"flash_{at}_us"] * _FRAMES / 1000 + append[f"block_{at}_ms"] for at in (1, 99)}
    figures["outbox_append_ram_us"] = append["ram_us"]
    figures["outbox_append_flash_1_us"] = append["flash_1_us"]
    figures["outbox_append_flash_99_us"] = append["flash_99_us"]
    figures["outbox_append_ratio_99_1"] = whole[99] / whole[1]
    figures["outbox_recovery_ms"] = append["recovery_ms"]
    figures["outbox_heap_bytes_32"] = _measure("heap", name="micropython32")["total"]
    return figures, [
        "outbox: 52-byte frames on 848 KiB of littlefs in RAM; erases: three outages of 100 s, drained",
        f"outbox years: {_DAYS} days simulated (50 frames/s, an hour of outage, 96 energy records), taken on: "
        "the most worn block, and beside it the mean of all, to which wear levelling comes near with time",
        "outbox append: median without the flash, which is modelled (45 ms an erase, 0.5 ms a page programmed, "
        f"2 µs a read): a block takes {append['block_1_ms']:.1f} ms at 1 % and {append['block_99_ms']:.1f} ms at "
        "99 % full; the ratio is of both together",
        f"outbox recovery: {append['records']} records, {append['recovery_reads']} reads (2 µs each) of "
        f"{append['recovery_bytes'] / 1024:.0f} KiB in all",
    ]
