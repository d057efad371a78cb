"""ingest-canary changes and accept: what got slower or faster, since when and why."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from monitor.cli.common import read_settings, settings_options
from monitor.cli.history import since_when
from monitor.config.settings import Settings
from monitor.daemon.assembly import stored
from monitor.detect.story import (
    Story,
    minute,
    percent,
    sentence,
    stories,
    told_difference,
)
from monitor.errors import ConfigurationError, StoreUnavailable
from monitor.judgement import Change, encode_change
from monitor.store.control import Request, add
from monitor.store.judgements import StoredChange, stored_changes, story_of
from monitor.store.read import target_ids

#: Digits of an id that are printed, and that a prefix has at least.
_SHOWN_DIGITS = 8
_LEAST_DIGITS = 4


@click.command()
@click.option("--target", metavar="NAME", help="Only this target.")
@click.option("--since", metavar="WHEN", default="30d", show_default=True,
              help="What stood after then: 7d, or 2026-11-22T14:10 (UTC).")  # fmt: skip
@click.option("--open", "only_open", is_flag=True, help="Only what still stands.")
@click.option("--details", is_flag=True,
              help="Each signal that moved, how far, how surely and when it was told.")  # fmt: skip
@click.option("--check", is_flag=True, help="End with 1 if a regression stands.")
@click.option("--json", "as_json", is_flag=True, help="Print a list, one object a story.")
@settings_options
def changes(
    target: str | None,
    since: str,
    only_open: bool,
    details: bool,
    check: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """List what got slower or faster: how much, since when, where, and what changed just before."""
    settings = read_settings(options, quiet=True)
    begin = since_when(since, datetime.now(UTC))
    found = asyncio.run(_read(settings, target, begin))
    if only_open:
        found = [story for story in found if story.open]
    if as_json:
        click.echo(json.dumps([_as_json(story) for story in found], ensure_ascii=False, indent=1))
    else:
        _print(found, details)
    if not found and not as_json:
        _say_none(target, since, only_open)
    return int(check and any(change.alarming for story in found for change in story.open))


async def _read(settings: Settings, target: str | None, since: datetime) -> list[Story]:
    try:
        async with stored(settings) as database:
            known = await target_ids(database)
            if target is not None and target not in known and target not in settings.targets:
                there = ", ".join(sorted(known)) or "none"
                raise ConfigurationError(f"unknown target '{target}'; the store holds: {there}.")
            return _stories(await stored_changes(database, target, since))
    except StoreUnavailable as error:
        if "nothing has been stored yet" in str(error):
            return []
        raise


def _stories(found: Sequence[StoredChange]) -> list[Story]:
    return stories(
        [each.change for each in found], [each.end for each in found if each.end is not None]
    )


def _say_none(target: str | None, since: str, only_open: bool) -> None:
    of = f" of {target}" if target else ""
    what = "stands" if only_open else f"was told since {since}"
    click.echo(f"No change{of} {what}.")


def _print(found: Sequence[Story], details: bool) -> None:
    for story in found:
        click.echo(f"{story.id[:_SHOWN_DIGITS]}  {sentence(story)}")
        for line in _details(story) if details else ():
            click.echo(f"{' ' * _SHOWN_DIGITS}    {line}")


def _details(story: Story) -> Iterator[str]:
    """A line a change: where, how far, how sure, since when, told when, and how it ended."""
    ends = {end.change_id: end for end in story.ends}
    for change in story.changes:
        name = change.counter or change.place.signal
        of = f"{change.place.case}: " if change.place.case else ""
        end = ends.get(change.id)
        ended = f", {end.ending} {minute(end.at)}" if end else ""
        fast = ", fast lane" if change.fast else ""
        yield (
            f"{change.kind}: {of}{name} {percent(change.effect_ratio)}, {change.statistic:.1f} σ"
            f"{fast}, after {minute(change.since_low)} and by {minute(change.since_high)}, told"
            f" {minute(change.told_at)}{ended}"
        )
    for difference in story.differences:
        yield f"changed before: {told_difference(difference)}"


def _as_json(story: Story) -> dict[str, Any]:
    low, high = story.span
    ended = story.ended
    return {
        "id": story.id,
        "target": story.target,
        "text": sentence(story),
        "open": bool(story.open),
        "alarming": story.alarming,
        "kind": story.headline[0].kind,
        "where": story.headline[0].where,
        "component": story.headline[0].component,
        "signal": story.headline[0].place.signal,
        "effect_ratio": story.effect_ratio,
        "rows_per_second_ratio": story.rows_per_second_ratio,
        "since": story.since.isoformat(),
        "since_low": low.isoformat(),
        "since_high": high.isoformat(),
        "told_at": story.changes[0].told_at.isoformat(),
        "cause": story.cause,
        "differences": [
            {"part": each.part, "name": each.name, "before": each.before, "after": each.after}
            for each in story.differences
        ],
        "ending": ended.ending if ended else None,
        "ended_at": ended.at.isoformat() if ended else None,
        "changes": [_change_as_json(change, story) for change in story.changes],
    }


def _change_as_json(change: Change, story: Story) -> dict[str, Any]:
    plain = encode_change(change)
    case, signal = plain.pop("place")
    names = ("strategy", "shape", "batch_size", "variant")
    end = next((each for each in story.ends if each.change_id == change.id), None)
    del plain["group"], plain["target"], plain["differences"]
    return {
        **plain,
        "case": dict(zip(names, case, strict=True)) if case else None,
        "signal": signal,
        "ending": end.ending if end else None,
        "ended_at": end.at.isoformat() if end else None,
    }


# --- accept --------------------------------------------------------------------------------------


@click.command()
@click.argument("change_id", metavar="CHANGE_ID")
@click.option("--note", default="", help="Why it is fine, for those who come later.")
@click.option("--by", help="Who says so; default: your user name.")
@settings_options
def accept(change_id: str, note: str, by: str | None, **options: Any) -> None:
    """Make the new level of a change the baseline. CHANGE_ID: first digits, as `changes` prints."""
    settings = read_settings(options, quiet=True)
    if len(change_id) < _LEAST_DIGITS:
        raise ConfigurationError(f"'{change_id}': give {_LEAST_DIGITS} digits of a change's id.")
    who = by or getpass.getuser()
    story = asyncio.run(_accept(settings, change_id.lower(), who, note))
    click.echo(f"{story.id[:_SHOWN_DIGITS]}  {sentence(story)}")
    click.echo(f"accepted by {who}; the baseline moves with the next run.")


async def _accept(settings: Settings, change_id: str, by: str, note: str) -> Story:
    async with stored(settings) as database:
        found = _stories(await story_of(database, change_id))
        if not found:
            raise ConfigurationError(
                f"no change '{change_id}'; `ingest-canary changes` lists them."
            )
        if len(found) > 1:
            ids = ", ".join(story.id for story in found)
            raise ConfigurationError(f"'{change_id}' is ambiguous: {ids}.")
        story = found[0]
        if not story.open:
            raise ConfigurationError(f"{change_id} does not stand any more: {sentence(story)}")
        request = Request(datetime.now(UTC), "accept", story.target, story.id, by, note)
        await add(database, request)
        return story
