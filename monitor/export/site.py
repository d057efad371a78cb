"""Everything that is served but metrics, as bytes by path: pages, the API's JSON, static files.

Made anew with each snapshot, between rounds, and only of targets that changed; the web thread
copies what it finds. A page therefore costs a round no more than a scrape does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel

from monitor.export import describe
from monitor.export.curve import Point
from monitor.export.documents import Changes, Problem, Runs, Sweeps, TargetDocument
from monitor.export.openapi import API, description
from monitor.export.pages import Page, render_index, render_target
from monitor.export.snapshot import Snapshot, TargetSnapshot

JSON = "application/json"
HTML = "text/html; charset=utf-8"
_POINTS = b'{"columns":["' + '","'.join(Point._fields).encode() + b'"],"points":['

#: Fields of a target that pages do not show: counts since the start, which are for metrics.
_NOT_SHOWN = frozenset(
    {"finished_at", "runs", "skipped", "rows_inserted", "rounds", "failures", "disturbed",
     "durations", "planned"}
)  # fmt: skip
_SHOWN = tuple(name for name in TargetSnapshot.__dataclass_fields__ if name not in _NOT_SHOWN)


class Content(NamedTuple):
    """What is answered for a path; ``parts`` are joined by the request that asks."""

    media_type: str
    parts: tuple[bytes, ...]


Contents = Mapping[str, Content]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A target as it was last rendered, and what of."""

    snapshot: TargetSnapshot
    fresh: bool
    document: TargetDocument
    page: Page
    contents: Contents

    def still_shows(self, target: TargetSnapshot, fresh: bool) -> bool:
        """Whether rendering again would give the same; what is large is compared by identity."""
        pairs = ((getattr(self.snapshot, name), getattr(target, name)) for name in _SHOWN)
        return self.fresh == fresh and all(
            old is new or (not _large(new) and old == new) for old, new in pairs
        )


def _large(value: object) -> bool:
    return hasattr(value, "__dataclass_fields__") or isinstance(value, Mapping)


@dataclass(slots=True)
class Site:
    """Renders snapshots; owned by the daemon's loop."""

    _shown: dict[str, _Shown] = field(default_factory=dict)
    _last: Contents = field(default_factory=dict)
    _measuring: bool = False
    _openapi: Content = field(default_factory=lambda: Content(JSON, (description(),)))

    def contents(self, snapshot: Snapshot) -> Contents:
        """What is to be served now, by path: while a run goes on, what was made as it began."""
        measuring = any(target.lock_held for target in snapshot.targets)
        if not (measuring and self._measuring):
            self._last = self._rendered(snapshot)
        self._measuring = measuring
        return self._last

    def _rendered(self, snapshot: Snapshot) -> Contents:
        self._shown = {target.name: self._of(snapshot, target) for target in snapshot.targets}
        found: dict[str, Content] = {f"{API}/openapi.json": self._openapi}
        for shown in self._shown.values():
            found.update(shown.contents)
        documents = [shown.document for shown in self._shown.values()]
        status = describe.status(snapshot, documents)
        found[f"{API}/status"] = _json(status)
        pages = [shown.page for shown in self._shown.values()]
        found["/"] = Content(HTML, (render_index(status, pages),))
        return found

    def _of(self, snapshot: Snapshot, target: TargetSnapshot) -> _Shown:
        before, fresh = self._shown.get(target.name), snapshot.fresh_run(target) is not None
        if before and before.still_shows(target, fresh):
            return before
        document = describe.target_document(snapshot, target)
        changes, runs = describe.all_changes(target), describe.runs(target)
        environments = describe.environments(target)
        sweeps = target.past.sweeps
        page = Page(document, changes, runs, environments, target.past.sparks, sweeps)
        base = f"{API}/targets/{target.name}"
        contents = {
            base: _json(document),
            f"{base}/changes": _json(Changes(changes=changes)),
            f"{base}/runs": _json(Runs(runs=runs)),
            f"{base}/environments": _json(environments),
            f"{base}/sweeps": _json(Sweeps(sweeps=list(sweeps))),
            f"/targets/{target.name}": Content(
                HTML, (render_target(snapshot.at, snapshot.version, page),)
            ),
        }
        for key in target.past.points:
            path = f"{base}/cases/{describe.case_id(key)}/points"
            contents[path] = _points(target.past.points[key])
        for case in document.cases:  # planned, and not measured yet
            contents.setdefault(f"{base}/cases/{case.id}/points", _points(()))
        return _Shown(target, fresh, document, page, contents)


def _points(parts: tuple[bytes, ...]) -> Content:
    separated = [piece for part in parts for piece in (b",", part)][1:]
    return Content(JSON, (_POINTS, *separated, b"]}"))


def _json(document: BaseModel) -> Content:
    return Content(JSON, (document.model_dump_json().encode(),))


def problem(text: str) -> bytes:
    """What the API answers where it has nothing."""
    return Problem(error=text).model_dump_json().encode()
