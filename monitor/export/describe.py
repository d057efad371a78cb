"""From the snapshot to the API's documents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from operator import attrgetter
from statistics import median

from monitor.detect.story import Story, sentence, stories, what, why
from monitor.export.documents import (
    CaseStatus,
    DifferenceDocument,
    EnvironmentChangeDocument,
    EnvironmentDocument,
    Environments,
    Evidence,
    RunDocument,
    Status,
    StoreDocument,
    StoryDocument,
    TargetDocument,
    TargetSummary,
)
from monitor.export.past import EnvironmentChange, PastRun
from monitor.export.snapshot import Snapshot, TargetSnapshot
from monitor.export.verdict_metrics import case_states
from monitor.judgement import STATES, Change, Place, State, Verdict
from monitor.model import CaseKey, CaseResult, Run
from monitor.store.recorder import StoreHealth

_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


def case_id(key: CaseKey) -> str:
    """What stands for a case in paths: readable, the same for ever, and of no other case."""
    plain = f"{key.strategy}.{key.shape}.{key.batch_size}"
    simple = not key.variant and not _PLAIN.search(f"{key.strategy}{key.shape}")
    if simple:
        return plain
    digest = sha256(repr(key).encode()).hexdigest()[:8]
    return f"{_PLAIN.sub('_', key.strategy)}.{_PLAIN.sub('_', key.shape)}.{key.batch_size}.{digest}"


def status(snapshot: Snapshot, targets: Iterable[TargetSummary]) -> Status:
    """Everything in short."""
    return Status(
        at=snapshot.at,
        version=snapshot.version,
        python=snapshot.python,
        targets=[TargetSummary(**dict(target)) for target in targets],
        store=_store(snapshot.store) if snapshot.store else None,
    )


def _store(health: StoreHealth) -> StoreDocument:
    return StoreDocument(
        samples=health.samples,
        errors=health.errors,
        dropped_samples=health.dropped_samples,
        spooled_samples=health.spooled_samples,
        size_bytes=health.size_bytes,
    )


# --- a target ------------------------------------------------------------------------------------


def target_document(snapshot: Snapshot, target: TargetSnapshot) -> TargetDocument:
    """A target with its cases and what stands."""
    last, fresh = target.last_run, snapshot.fresh_run(target)
    states = case_states(snapshot, target)
    standing = [told(story) for story in open_stories(target)]
    alarming = sum(story.alarming for story in standing)
    return TargetDocument(
        name=target.name,
        state="regressed" if alarming else min(states.values(), key=STATES.index, default=None),
        up=target.up,
        paused=target.paused,
        measuring=target.lock_held,
        interval_seconds=target.interval_seconds,
        round_trip_seconds=target.round_trip_seconds,
        last_run_id=last.id if last else None,
        last_run_at=last.started_at if last else None,
        last_run_outcome=last.outcome if last else None,
        last_run_duration_seconds=last.duration_seconds if last else None,
        next_run_at=target.next_run_at,
        consecutive_failures=target.consecutive_failures,
        open_regressions=alarming,
        cases_by_state=_counted(states.values()),
        cases=list(_cases(target, fresh, states)),
        open_changes=standing,
        probes={name: median(seconds) for name, seconds in fresh.probes.items()} if fresh else {},
        expected_false_alarms_per_month=(
            sum(target.false_alarms.values()) if target.false_alarms else None
        ),
        notices=[str(notice) for notice in last.notices] if last else [],
    )


def _counted(states: Iterable[State]) -> dict[State, int]:
    counts = Counter(states)
    return {state: counts[state] for state in STATES if counts[state]}


def _cases(
    target: TargetSnapshot, run: Run | None, states: Mapping[CaseKey, State]
) -> Iterator[CaseStatus]:
    """The cases of the suite: in the run's order, then those that it lacks."""
    found = {result.case.key: result for result in run.cases} if run else {}
    verdicts = {v.place: v for v in target.judgement.verdicts} if target.judgement and run else {}
    ordered = [key for key in found if key in target.planned]
    for key in [*ordered, *sorted(target.planned - found.keys())]:
        verdict = verdicts.get(Place(key, "throughput"))
        yield _case(key, found.get(key), states.get(key), verdict)


def _case(
    key: CaseKey, result: CaseResult | None, state: State | None, verdict: Verdict | None
) -> CaseStatus:
    summary = result.summary if result else None
    rate = summary.rows_per_second if summary else None
    return CaseStatus(
        id=case_id(key),
        strategy=key.strategy,
        shape=key.shape,
        batch_size=key.batch_size,
        variant=key.variant,
        rows=result.case.rows if result else None,
        label=result.case.strategy.label if result else key.strategy,
        state=state,
        rows_per_second=rate.median if rate else None,
        rows_per_second_low=rate.low if rate else None,
        rows_per_second_high=rate.high if rate else None,
        rows_per_second_fast=summary.rows_per_second_fast if summary else None,
        baseline_rows_per_second=1 / verdict.baseline if verdict and verdict.baseline else None,
        change_ratio=verdict.effect_ratio if verdict else None,
        detectable_change_ratio=verdict.detectable_ratio if verdict else None,
        rows_per_call=summary.rows_per_call if summary else None,
        client_seconds_per_row=summary.client_seconds_per_row if summary else None,
        server_seconds_per_row=summary.server_seconds_per_row if summary else None,
        commit_seconds_per_row=summary.commit_seconds_per_row if summary else None,
        rest_seconds_per_row=summary.rest_seconds_per_row if summary else None,
        wal_bytes_per_row=summary.wal_bytes_per_row if summary else None,
    )


# --- what changed --------------------------------------------------------------------------------


def open_stories(target: TargetSnapshot) -> list[Story]:
    """What stands, alarming stories first, then newest first."""
    standing = [story for story in _all_stories(target) if story.open]
    return sorted(standing, key=lambda story: (not story.alarming, -story.since.timestamp()))


def all_changes(target: TargetSnapshot) -> list[StoryDocument]:
    """What stands or stood, newest first."""
    known = sorted(_all_stories(target), key=attrgetter("since"), reverse=True)
    return [told(story) for story in known]


def _all_stories(target: TargetSnapshot) -> list[Story]:
    """The detector's memory says what stands; ends are of those that it does not hold any more."""
    standing = {change.id for change in target.changes}
    changes = {change.id: change for change in (*target.past.changes, *target.changes)}
    ends = [end for end in target.past.ends if end.change_id not in standing]
    ended = {end.change_id for end in ends}
    known = [change for change in changes.values() if change.id in standing | ended]
    return stories(sorted(known, key=attrgetter("told_at", "id")), ends)


def told(story: Story) -> StoryDocument:
    """A story with its evidence."""
    ended = story.ended
    low, high = story.span
    return StoryDocument(
        id=story.id,
        target=story.target,
        sentence=sentence(story),
        effect=what(story),
        since=story.since,
        since_low=low,
        since_high=high,
        effect_ratio=story.effect_ratio,
        rows_per_second_ratio=story.rows_per_second_ratio,
        alarming=story.alarming,
        cause=story.cause,
        reason=why(story),
        differences=[DifferenceDocument.of(each) for each in story.differences],
        evidence=[_evidence(story, change) for change in story.changes],
        ending=ended.ending if ended else None,
        ended_at=ended.at if ended else None,
    )


def _evidence(story: Story, change: Change) -> Evidence:
    end = next((end for end in story.ends if end.change_id == change.id), None)
    case = change.place.case
    return Evidence(
        change_id=change.id,
        kind=change.kind,
        case=case_id(case) if case else None,
        case_label=str(case) if case else "the target as a whole",
        signal=change.counter or change.place.signal,
        effect_ratio=change.effect_ratio,
        rows_per_second_ratio=change.rows_per_second_ratio,
        statistic=change.statistic,
        since=change.since,
        since_low=change.since_low,
        since_high=change.since_high,
        told_at=change.told_at,
        component=change.component,
        where=change.where,
        strategies=change.strategies,
        of=change.of,
        ending=end.ending if end else None,
        ended_at=end.at if end else None,
    )


# --- runs and environments -----------------------------------------------------------------------


def runs(target: TargetSnapshot) -> list[RunDocument]:
    """The last runs, newest first."""
    return [_run(run) for run in reversed(target.past.runs)]


def _run(run: PastRun) -> RunDocument:
    first = run.first_failure
    where = f"{first.case}: " if first and first.case else ""
    return RunDocument(
        id=run.id,
        trigger=run.trigger,
        started_at=run.started_at,
        duration_seconds=run.duration_seconds,
        outcome=run.outcome,
        contended=run.contended,
        rounds=run.rounds,
        disturbed_rounds=dict(run.disturbed),
        failures=dict(run.failures),
        first_failure=f"{where}{first.message}" if first else None,
        wal_bytes=run.wal_bytes,
    )


def environments(target: TargetSnapshot) -> Environments:
    """What the last run was made with, and how that came to be."""
    run = target.last_environment_run
    now = run.environment if run else None
    return Environments(
        environment=EnvironmentDocument(**now.as_json()) if now else None,
        changes=[_environment_change(each) for each in reversed(target.past.environments)],
    )


def _environment_change(change: EnvironmentChange) -> EnvironmentChangeDocument:
    return EnvironmentChangeDocument(
        at=change.at,
        fingerprint_before=change.before,
        fingerprint_after=change.after,
        differences=[DifferenceDocument.of(each) for each in change.differences],
    )
