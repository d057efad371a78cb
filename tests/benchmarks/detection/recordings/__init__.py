"""Runs of the private canary, recorded by record.py and never used to choose a parameter.

``QUIET`` was left alone; in ``CHANGED`` an index, a row trigger and a CHECK constraint came and went.
``TUNING`` is the recording that parameters were chosen on.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent

QUIET = _HERE / "quiet.jsonl.gz"
CHANGED = _HERE / "changed.jsonl.gz"
TUNING = _HERE / "tuning.jsonl.gz"
