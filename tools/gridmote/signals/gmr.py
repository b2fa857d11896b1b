"""The node's recording format (lib/waveform/gmr.py) on the host, with its samples as numpy arrays."""

from pathlib import Path

import numpy as np

from waveform.gmr import head_bytes, read_head


def to_counts(values, resolution=0.0):
    """(int16 counts, V or A a count) of one channel: the recording's own counts where they are whole numbers
    within 16 bits, else rescaled so that the largest becomes 32767.
    """
    if resolution:
        counts = values / resolution
        whole = np.round(counts)
        if np.abs(whole).max(initial=0) <= 32767 and np.allclose(counts, whole, rtol=1e-7, atol=1e-4):
            return whole.astype("<i2"), float(resolution)
    scale = float(np.abs(values).max(initial=0)) / 32767 or 1.0
    return np.round(values / scale).astype("<i2"), scale


def write_gmr(path, channels, fs_hz, samples, f0, loop=None):
    """`channels`: dicts of name, kind, phase, scale; `samples`: (n, channels) counts; `loop`: (start, length)
    or None; `f0`: nominal Hz.
    """
    samples = np.ascontiguousarray(samples, "<i2")
    if samples.ndim != 2 or samples.shape[1] != len(channels):
        raise ValueError(f"samples of shape {samples.shape} for {len(channels)} channels")
    head = {
        "fs_hz": int(fs_hz),
        "f0_hz": int(f0),
        "samples": len(samples),
        "loop": [int(n) for n in loop] if loop else None,
        "channels": [{k: c[k] for k in ("name", "kind", "phase", "scale")} for c in channels],
    }
    Path(path).write_bytes(head_bytes(head) + samples.tobytes())


def read_gmr(path):
    """(head, int16 counts of shape (samples, channels)); RecordingError as on the node."""
    with open(path, "rb") as file:
        head, at = read_head(str(path), file)
        file.seek(at)
        return head, np.frombuffer(file.read(), "<i2").reshape(-1, len(head["channels"]))


def played(head, counts, first, count):
    """Counts as the node replays them, repeated in the loop: sample `first` since the start and the next."""
    index = np.arange(first, first + count)
    if head["loop"]:
        start, length = head["loop"]
        index = np.where(index < start, index, start + (index - start) % length)
    return counts[index]
