"""Runs of the private canary, recorded by record.py, never used to choose a parameter but for one.

``QUIET`` was left alone; in ``CHANGED`` an index, a row trigger and a CHECK constraint came and
went. ``TUNING`` was left alone too, and parameters were chosen on it.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent

QUIET = _HERE / "quiet.jsonl.gz"
CHANGED = _HERE / "changed.jsonl.gz"
TUNING = _HERE / "tuning.jsonl.gz"
