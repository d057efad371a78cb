"""The daemon for hours under faults at random: ``python -m tests.soak --minutes 120``."""
