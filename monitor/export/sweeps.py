"""Sweeps as the store holds them, as documents, each beside the one before it of its kind."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitor.export.documents import DifferenceDocument, SweepCurve, SweepDocument, SweepPoint
from monitor.store.explorations import Exploration

log = logging.getLogger(__name__)


def described(found: Sequence[Exploration]) -> tuple[SweepDocument, ...]:
    """The documents of a target's sweeps, newest first; what cannot be read is left out."""
    documents = []
    for place, each in enumerate(found):
        before = next((old for old in found[place + 1 :] if old.subject == each.subject), None)
        try:
            documents.append(_document(each, before))
        except (KeyError, TypeError, ValueError) as error:
            log.warning("%s: sweep %s cannot be shown: %r", each.target, each.id, error)
    return tuple(documents)


def newest_of_each(sweeps: Iterable[SweepDocument]) -> list[SweepDocument]:
    """The first of each subject."""
    found: dict[str, SweepDocument] = {}
    for sweep in sweeps:
        found.setdefault(sweep.subject, sweep)
    return list(found.values())


def _document(each: Exploration, before: Exploration | None) -> SweepDocument:
    result = each.result
    earlier = {curve["strategy"]: curve for curve in before.result["curves"]} if before else {}
    differences = (
        before.environment.differences(each.environment)
        if before and before.environment and each.environment
        else ()
    )
    return SweepDocument(
        id=each.id,
        started_at=each.started_at,
        subject=each.subject,
        over=result["over"],
        shape=result["shape"],
        rows=result["rows"],
        rounds=result["rounds"],
        rising=result["trend"] == "rising",
        values=result["values"],
        curves=[_curve(curve, earlier.get(curve["strategy"])) for curve in result["curves"]],
        server_version=each.environment.server_version if each.environment else None,
        before_at=before.started_at if before else None,
        differences=[DifferenceDocument.of(difference) for difference in differences],
    )


def _curve(curve: Mapping[str, Any], before: Mapping[str, Any] | None) -> SweepCurve:
    now: float | None = curve["plateau_rows_per_second"]
    then: float | None = before["plateau_rows_per_second"] if before else None
    return SweepCurve(
        strategy=curve["strategy"],
        points=[_point(point) for point in curve["points"]],
        elbow=curve["elbow"],
        plateau_rows_per_second=now,
        elbow_before=before["elbow"] if before else None,
        plateau_change_ratio=now / then - 1 if now and then else None,
    )


def _point(point: Mapping[str, Any]) -> SweepPoint:
    rate = point["rows_per_second"] or {}
    return SweepPoint(
        value=point["value"],
        rounds=point["rounds"],
        failures=point["failures"],
        rows_per_second=rate.get("median"),
        rows_per_second_low=rate.get("low"),
        rows_per_second_high=rate.get("high"),
        rows_per_second_fast=point["rows_per_second_fast"],
        sags=point["sags"],
    )
