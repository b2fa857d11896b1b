"""Waveforms that a node can be given instead of the grid: made (grid, kernels) or recorded (gmr)."""
