"""make bench: wall-clock figures, as ratios where that is fairer, each pair measured in turn in one run."""
