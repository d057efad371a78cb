"""Labels that metrics share."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.model import CaseKey

CASE_LABELS = ("target", "strategy", "shape", "batch_size", "variant")

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float]]


def case_labels(target: str, key: CaseKey | None) -> Labels:
    """The values of ``CASE_LABELS``; without a case, all but the target's are empty."""
    if key is None:
        return (target, "", "", "", "")
    return (target, key.strategy, key.shape, str(key.batch_size), key.variant)
