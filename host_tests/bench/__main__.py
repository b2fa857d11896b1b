"""Runs every benchmark in turn, prints a table and writes build/bench.json.

Figures with _us, _ms and _per_s are wall clock of this machine: read the ratios. "_32" is the word size of the
boards. The broker runs with set_tcp_nodelay on, unless a key says otherwise.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from host_tests.bench import codec, flash, heap, link, segment
from host_tests.conftest import ROOT

GOALS = {  # line of the issue or of the facts, for the table only
    "encode_ratio_plain": "≥ 15",
    "encode_ratio_pypmu": "≥ 10",
    "heap_bytes_per_frame_32": "0",
    "publish_heap_bytes_32": "≤ 48",
    "acked_per_s_rtt100_w20": "≥ 95",
    "meter_heap_min_kib_32": "≤ 160",
    "gossip_eager_datagrams": "≤ 4.2",
    "gossip_eager_periods_p99": "≤ 8",
    "gossip_lazy_payloads": "≤ 2.1",
    "gossip_push_pull_payloads": "≤ 2.1",
    "gossip_memberlist_datagrams": "to beat",
    "gossip_10000_datagrams": "≤ 4.2",
    "gossip_10000_p99_periods": "≤ 8",
}


def main():
    console = Console(width=None if sys.stdout.isatty() else 110)
    figures, notes = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (
            ("frames and estimation", codec.run),
            ("the link", link.run),
            ("heap", heap.run),
            ("the outbox", flash.run),
            ("gossip", segment.run),
        ):
            console.print(f"measuring {name} …")
            found, said = run(Path(folder))
            figures |= found
            notes += said
    table = Table("figure", "goal")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, GOALS.get(name, ""), f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    console.print(table)
    for note in notes:
        console.print(note)
    path = ROOT / "build/bench.json"
    path.parent.mkdir(exist_ok=True)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    path.write_text(json.dumps({"commit": commit.stdout.strip(), **figures, "notes": notes}, indent=1) + "\n")
    console.print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
