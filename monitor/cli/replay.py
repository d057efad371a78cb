"""ingest-canary replay: stored verdicts, recomputed from stored samples."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

import click

from monitor.cli.common import read_settings, settings_options
from monitor.config.settings import Settings
from monitor.daemon.assembly import stored
from monitor.daemon.replaying import Deviation, Replay, replay
from monitor.errors import ConfigurationError
from monitor.store.read import target_ids

#: Deviations that are printed of each target.
_SHOWN = 20


@click.command(name="replay")
@click.option("--target", metavar="NAME", help="Only this target.")
@click.option("--json", "as_json", is_flag=True, help="Print one object a target.")
@settings_options
def replay_command(target: str | None, as_json: bool, **options: Any) -> int:
    """Recompute every stored verdict from the samples; end with 1 if one comes out otherwise."""
    settings = read_settings(options, quiet=True)
    found = asyncio.run(_replay(settings, target))
    for each in found:
        click.echo(json.dumps(_as_json(each), ensure_ascii=False) if as_json else _text(each))
    if not found:
        click.echo("Nothing has been judged yet.", err=as_json)
    return int(any(each.deviations for each in found))


async def _replay(settings: Settings, target: str | None) -> list[Replay]:
    async with stored(settings) as database:
        known = sorted(await target_ids(database))
        if target is not None and target not in known:
            there = ", ".join(known) or "none"
            raise ConfigurationError(f"unknown target '{target}'; the store holds: {there}.")
        found = [await replay(database, name) for name in known if target in (None, name)]
    return [each for each in found if each.runs or each.skipped]


def _text(found: Replay) -> str:
    lines = []
    if found.first and found.last:
        outcome = f"{len(found.deviations)} differ" if found.deviations else "identical"
        lines.append(
            f"{found.target}: {found.verdicts:,} verdicts of {found.runs:,} runs from"
            f" {found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M}: {outcome}"
        )
    if found.skipped:
        lines.append(f"  {found.skipped} earlier runs: no state to begin with is stored any more")
    if found.other_version:
        lines.append(f"  {found.other_version} runs were judged by another version of the detector")
    lines += [_line(each) for each in found.deviations[:_SHOWN]]
    if len(found.deviations) > _SHOWN:
        lines.append(f"  and {len(found.deviations) - _SHOWN} more; --json prints all")
    return "\n".join(lines)


def _line(found: Deviation) -> str:
    was, now = found.stored or "not told", found.recomputed or "not told"
    return f"  {found.run_started_at:%Y-%m-%d %H:%M:%S} {found.what}: {was} → {now}"


def _as_json(found: Replay) -> dict[str, Any]:
    plain = asdict(found)
    plain["first"] = found.first.isoformat() if found.first else None
    plain["last"] = found.last.isoformat() if found.last else None
    for each in plain["deviations"]:
        each["run_started_at"] = each["run_started_at"].isoformat()
    return plain
