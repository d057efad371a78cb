"""Where our WAL goes: archive, slots, standbys; and how much it is a day."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts, Replication, Slot
from monitor.canary.checks.finding import Finding, counted, error, info, listed, ok, size, warning
from monitor.canary.checks.platform import to_set

#: Values of synchronous_commit under which a commit waits for a standby.
_WAITING = ("on", "remote_write", "remote_apply")


def replication(facts: Facts) -> Iterator[Finding]:
    """What our WAL of a day does elsewhere."""
    yield _wal_per_day(facts)
    found = facts.replication
    if found is None:
        yield ok("replication", "unknown")
        return
    yield _archiving(facts, found)
    yield _slots(facts, found)
    yield _synchronous(facts, found)
    yield _standbys(facts, found)


def _wal_per_day(facts: Facts) -> Finding:
    work = facts.workload
    known = "" if work.measured else " (estimated)"
    text = f"{work.runs_per_day:,.0f} runs a day write {size(work.wal_bytes_per_day)}{known}"
    figures = {"wal_bytes_per_day": int(work.wal_bytes_per_day), "runs_per_day": work.runs_per_day}
    if work.wal_bytes_per_day > work.wal_bytes_per_day_limit:
        return warning(
            "wal_per_day",
            f"{text}, more than max_wal_bytes_per_day ({size(work.wal_bytes_per_day_limit)}): runs"
            " will be left out",
            "lengthen interval, shrink the suite or raise limits.max_wal_bytes_per_day",
            **figures,
        )
    wal, seconds = facts.wal, facts.wal.seconds if facts.wal else None
    if wal and seconds and seconds > 3600:
        others = wal.bytes / seconds * 86_400
        text += f"; the whole server {size(others)} of late"
        figures["server_wal_bytes_per_day"] = int(others)
    return ok("wal_per_day", text, **figures)


def _archiving(facts: Facts, found: Replication) -> Finding:
    if facts.settings.text("archive_mode") in (None, "off"):
        return ok("archiving", "off")
    each_day = size(facts.workload.wal_bytes_per_day)
    if found.archive_failing:
        return error(
            "archiving",
            f"fails ({found.archive_failures or 0:,} times, last {found.archive_failed_file}): WAL"
            f" stays on the server's disk, {each_day} a day of it ours",
            "mend archive_command or archive_library before measuring",
        )
    return info(
        "archiving",
        f"on: {each_day} a day of our WAL goes to the archive",
        "lengthen interval where archive space is dear",
    )


def _slots(facts: Facts, found: Replication) -> Finding:
    idle = [slot for slot in found.slots if not slot.active]
    if not idle:
        text = f"{counted(len(found.slots), 'slot')}, all in use" if found.slots else "none"
        return ok("slots", text)
    worst = max(idle, key=lambda slot: slot.retained_bytes or 0)
    limit = facts.settings.size("max_slot_wal_keep_size")
    text = _held(idle, worst)
    if limit is not None and limit >= 0:
        return warning(
            "slots",
            f"{text}, at most {size(limit)}",
            f"SELECT pg_drop_replication_slot('{worst.name}') if nobody will use it",
        )
    return error(
        "slots",
        f"{text}, and we would add {size(facts.workload.wal_bytes_per_day)} a day until the disk is"
        " full",
        f"SELECT pg_drop_replication_slot('{worst.name}') if nobody will use it, or"
        f" {to_set(facts.platform, facts.settings, 'max_slot_wal_keep_size', '10GB', 10_240)}",
        inactive_slots=len(idle),
        retained_bytes=worst.retained_bytes or 0,
    )


def _held(idle: list[Slot], worst: Slot) -> str:
    if worst.retained_bytes is None:
        return f"inactive: {listed(slot.name for slot in idle)}"
    named = listed(slot.name for slot in idle)
    return f"inactive: {named}, holding {size(worst.retained_bytes)} of WAL"


def _synchronous(facts: Facts, found: Replication) -> Finding:
    names = facts.settings.text("synchronous_standby_names")
    level = facts.settings.text("synchronous_commit")
    if not names or level not in _WAITING:
        return ok("synchronous_standbys", "commits wait for no standby")
    if found.synchronous == 0 and facts.role.reads_all_stats:
        return error(
            "synchronous_standbys",
            "synchronous_standby_names is set and no standby is synchronous: every commit waits for"
            " ever",
            "bring the standby back or take its name out",
        )
    return info(
        "synchronous_standbys",
        f"synchronous_commit {level}: every commit waits for a standby, and the commit clock shows"
        " its network and disk",
        "the default suite's COPY with a commit per 1,000 rows shows it best",
    )


def _standbys(facts: Facts, found: Replication) -> Finding:
    if found.streaming:
        each_day = size(facts.workload.wal_bytes_per_day)
        verb = "streams" if found.streaming == 1 else "stream"
        return info(
            "standbys",
            f"{counted(found.streaming, 'session')} {verb} WAL: {each_day} a day of it ours",
            streaming=found.streaming,
        )
    return ok("standbys", "nobody streams WAL")
