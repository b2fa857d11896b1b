"""Heap bytes a publish, and the smallest heap in which the whole meter runs from .mpy files, on 32 bits."""

import json

from host_tests.conftest import Broker, Port
from size import stage

_STEP_KIB = 4


def meter_runs(stage_folder, config, heap_kib, seconds=4):
    """Whether the meter of `config` runs in that heap and has all its frames acknowledged but those in flight."""
    done = Port("micropython32")(
        "-m",
        "firmware.main",
        config,
        str(seconds),
        heapsize=f"{heap_kib}k",
        path=(".frozen", f"{stage_folder}/lib", str(stage_folder)),
        cwd=stage_folder,
        timeout_s=seconds + 30,
    )
    return done.returncode == 0 and "MemoryError" not in done.stdout + done.stderr


def configuration(folder, port):
    """A meter on the synthetic grid with every default."""
    path = folder / "heap.json"
    config = {
        "id": "heap",
        "topic": {"area": "bench", "location_type": "secondary-station", "location_id": "1"},
        "broker": {"host": "127.0.0.1", "port": port},
        "measurement": {"idcode": 1},
        "source": {"kind": "synthetic"},
        "outbox": {"folder": str(folder / "flash")},
    }
    path.write_text(json.dumps(config))
    return path


def run(folder):
    stage(folder / "x86", "x86")
    broker = Broker(folder)
    try:
        publish = Port("micropython32")("host_tests/mpy/node_publish_heap.py", broker.port, 1000, 200)
        found = json.loads(publish.stdout)
        config = configuration(folder, broker.port)
        low, high = 96, 224  # KiB: too little, enough
        while high - low > _STEP_KIB:
            middle = (low + high) // 2 // _STEP_KIB * _STEP_KIB
            if meter_runs(folder / "x86", config, middle):
                high = middle
            else:
                low = middle
    finally:
        broker.stop()
    figures = {
        "publish_heap_bytes_32": found["total"],
        "publish_heap_outside_loop_bytes_32": found["outside"],
        "meter_heap_min_kib_32": high,
    }
    return figures, [
        "heap of a publish: pend() to PUBACK processed, event loop included, collector off, mean of 1,000",
        f"smallest heap: to {_STEP_KIB} KiB, 4 s each, synthetic grid, 6 channels"
    ]
