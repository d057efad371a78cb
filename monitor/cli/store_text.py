"""The state of the store for people, and as stable JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from monitor.config.dsn import without_secrets
from monitor.config.settings import Settings
from monitor.store.status import Content, Status

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            return (
                f"{count:.0f} {unit}" if unit == "bytes" or count >= 99.5 else f"{count:.1f} {unit}"
            )
        count /= 1000
    raise AssertionError("the last unit takes all")


def _where(settings: Settings) -> str:
    url = settings.store.read_url()
    if url is None:
        return str(settings.data_dir / "store.sqlite")
    return f"{without_secrets(url)}, schema {settings.store.schema_name}"


def _per_sample(status: Status) -> float | None:
    """Bytes of the whole store per raw sample."""
    if status.size_bytes is None or not status.content or not status.content.samples:
        return None
    return status.size_bytes / status.content.samples


def _next_step(status: Status, settings: Settings) -> str | None:
    """What to do about what is wrong; None: nothing is."""
    versions = status.versions
    if versions is None:
        return "bring the store back, or mend store.url; runs wait in the spool meanwhile"
    if not versions.known:
        return "the store was written by a newer version: upgrade ingest-canary"
    if versions.found is not None and not versions.current:
        return "the store is older than this version: run `ingest-canary store migrate`"
    if status.waiting.rejected:
        rejected = settings.data_dir / "spool" / "rejected"
        return f"the store refused runs; look into {rejected}, then remove them"
    if status.waiting.runs:
        return "runs wait for the store; `ingest-canary run` brings them in"
    return None


# --- JSON ----------------------------------------------------------------------------------------


def status_as_json(status: Status, settings: Settings) -> dict[str, Any]:
    """The whole status; what is not known is null, never 0."""
    versions, store = status.versions, settings.store
    return {
        "kind": status.kind,
        "where": _where(settings),
        "reachable": status.problem is None,
        "problem": status.problem,
        "next_step": _next_step(status, settings),
        "schema_revision": {
            "found": versions.found if versions else None,
            "needed": versions.needed if versions else None,
        },
        "size_bytes": status.size_bytes,
        "bytes_per_sample": _per_sample(status),
        "content": _content(status.content) if status.content else None,
        "retention_seconds": {
            "raw": store.raw_retention,
            "hourly": store.hourly_retention,
            "daily": store.daily_retention,
        },
        "spool": asdict(status.waiting),
    }


def _content(content: Content) -> dict[str, Any]:
    moments = {"first_sample_at": content.first_sample_at, "last_sample_at": content.last_sample_at}
    return asdict(content) | {name: _iso(at) for name, at in moments.items()}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


# --- lines ---------------------------------------------------------------------------------------


def status_lines(status: Status, settings: Settings) -> Iterator[str]:
    """The status for people, a fact a line."""
    facts = {"store": _where(settings), **_schema(status), **_contents(status)}
    facts |= {"retention": _retention(settings), "spool": _spool(status)}
    if step := _next_step(status, settings):
        facts["next"] = step
    for name, fact in facts.items():
        yield f"{name:<11}{fact}"


def _schema(status: Status) -> dict[str, str]:
    versions = status.versions
    if versions is None:
        return {"problem": status.problem or ""}
    if versions.found is None:
        return {"schema": f"none: nothing has been stored yet (needed: {versions.needed})"}
    needed = "" if versions.current else f"; this version needs {versions.needed}"
    return {"kind": status.kind or "not known", "schema": f"{versions.found}{needed}"}


def _contents(status: Status) -> dict[str, str]:
    facts, content = {}, status.content
    if content:
        named = f": {', '.join(content.targets)}" if content.targets else ""
        facts["targets"] = f"{len(content.targets)}{named}"
        facts["series"] = f"{content.series:,}"
        facts["runs"] = f"{content.runs:,}"
        facts["samples"] = f"{content.samples:,}{_span(content)}"
        facts["rollups"] = f"{content.hourly_rollups:,} hourly, {content.daily_rollups:,} daily"
    if content and content.partitions:
        first, last = content.partitions[0], content.partitions[-1]
        largest = max(each.bytes for each in content.partitions)
        facts["partitions"] = (
            f"{len(content.partitions)}, {first.name} to {last.name}, at most {size(largest)}"
        )
    if status.size_bytes is not None:
        each = _per_sample(status)
        facts["size"] = size(status.size_bytes) + (f", {each:,.0f} bytes a sample" if each else "")
    return facts


def _span(content: Content) -> str:
    if content.first_sample_at is None or content.last_sample_at is None:
        return ""
    return (
        f", {content.first_sample_at:%Y-%m-%d %H:%M} to {content.last_sample_at:%Y-%m-%d %H:%M} UTC"
    )


def _retention(settings: Settings) -> str:
    store = settings.store
    daily = "for ever" if store.daily_retention is None else _days(store.daily_retention)
    return (
        f"samples {_days(store.raw_retention)}, hourly {_days(store.hourly_retention)},"
        f" daily {daily}"
    )


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:g} d"


def _spool(status: Status) -> str:
    waiting = status.waiting
    rejected = f", {waiting.rejected:,} refused" if waiting.rejected else ""
    if not waiting.runs:
        return f"empty{rejected}"
    return f"{waiting.runs:,} runs wait, {size(waiting.bytes)}{rejected}"
