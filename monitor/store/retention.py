"""Keeping the store small: old samples, runs and rollups go, in steps that nobody waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """How long samples, hourly rollups (with runs and failures) and daily ones are kept.

    ``daily`` None: for ever.
    """

    raw: timedelta
    hourly: timedelta
    daily: timedelta | None = None
