"""Energy, integrated from the synchrophasors of each phase."""
