"""Samples to synchrophasors: magnitude, angle, frequency and ROCOF per channel, in integers."""
