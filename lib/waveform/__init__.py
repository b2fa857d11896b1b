"""Waveforms that a node can be given instead of the grid: made (grid, kernels) or recorded (gmr)."""

MAX_FS_HZ = 32_000  # (10^9 mod fs) * i must stay below 2^30 for every i < fs
