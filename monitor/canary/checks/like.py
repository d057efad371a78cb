"""What differs between a canary and the server that it stands for: a finding for each difference.

Values are told for settings that can change what an insert costs and hold no secrets; of others
only that they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.canary.checks.finding import Finding, info, listed, ok, warning, worst_first
from monitor.canary.checks.platform import LABELS, to_set
from monitor.canary.checks.profile import Profile
from monitor.canary.checks.settings import Setting

#: Differences that change the figures for certain, not only perhaps.
_DECISIVE = frozenset(
    {
        "archive_mode",
        "autovacuum",
        "block_size",
        "commit_delay",
        "data_checksums",
        "default_toast_compression",
        "fsync",
        "full_page_writes",
        "io_method",
        "session_replication_role",
        "shared_buffers",
        "shared_preload_libraries",
        "synchronous_commit",
        "synchronous_standby_names",
        "wal_compression",
        "wal_level",
        "wal_sync_method",
        "max_wal_size",
        "checkpoint_timeout",
    }
)
#: Sizes that must differ by so much before they count as decisive.
_FACTOR = 2
_VACUUM = re.compile(r"(autovacuum|vacuum)_\w+")
#: What names a place, a person or a moment rather than how the server works.
_LOCAL = re.compile(
    r".*(file|directory|directories|_dir|name|conninfo|command|port|addresses|zone|path|prefix|user"
    r"|destination|format|statement_timeout)$|tcp_.*|lc_.*|log_.*|transaction_.*|client_.*|ssl_.*"
    r"|in_hot.*|server_.*|default_text_search_config|DateStyle|IntervalStyle|rds\..*|cloudsql\..*|azure\..*"
)
#: Their values are paths or lists of hosts: told to be different, not how.
_UNTOLD = frozenset({"synchronous_standby_names"})
#: What a cluster or a program was made with; nothing sets it later.
_MADE_WITH = {
    "block_size": "build PostgreSQL with the same block size",
    "data_checksums": "pg_checksums on the stopped server, or make the cluster anew",
    "wal_segment_size": "pg_resetwal --wal-segsize on the stopped server, or make the cluster anew",
}


def differences(canary: Profile, other: Profile) -> tuple[Finding, ...]:
    """Everything in which they differ, what matters most first; an ok for what is the same."""
    found = [
        *_server(canary, other),
        *_settings(canary, other),
        *_vacuum(canary, other),
        *_others(canary, other),
        *_extensions(canary, other),
    ]
    return worst_first(found)


def _server(canary: Profile, other: Profile) -> Iterator[Finding]:
    if canary.identity.system_identifier == other.identity.system_identifier is not None:
        yield info(
            "like_server",
            "both are the same server or copies of one",
            "a canary of its own is measured without harm to production",
        )
    if canary.version != other.version:
        yield warning(
            "like_version",
            _both(canary.identity.version, other.identity.version),
            f"run the canary on PostgreSQL {other.version}",
        )
    elif canary.identity.version != other.identity.version:
        yield info("like_version", _both(canary.identity.version, other.identity.version))
    else:
        yield ok("like_version", canary.identity.version)
    if canary.platform != other.platform:
        yield warning(
            "like_platform",
            _both(LABELS[canary.platform], LABELS[other.platform]),
            "measure where production runs",
        )


def _both(here: object, there: object) -> str:
    return f"canary {here}, production {there}"


def _settings(canary: Profile, other: Profile) -> Iterator[Finding]:
    names = [name for name in sorted(canary.mattering | other.mattering)
             if not _VACUUM.fullmatch(name)]  # fmt: skip
    yield from filter(None, (_setting(name, canary, other) for name in names))
    both = [name for name in names if name in canary.settings and name in other.settings]
    same = sum(_setting(name, canary, other) is None for name in both)
    yield ok("like_settings", f"{same} of {len(both)} settings that can matter to inserts are the"
             " same", same=same, settings=len(both))  # fmt: skip


def _setting(name: str, canary: Profile, other: Profile) -> Finding | None:
    here, there = canary.settings.get(name), other.settings.get(name)
    if here is None and there is None:
        return None
    if here is None or there is None:
        return _one_sided(name, canary, other)
    if (here.value, here.unit) == (there.value, there.unit):
        return None
    if name in _UNTOLD:
        return _graded(name, f"{name}: set otherwise", "", canary, other)
    return _graded(
        name, f"{name}: {_both(here, there)}", _remedy(name, canary, there), canary, other
    )


def _remedy(name: str, canary: Profile, there: Setting) -> str:
    if canary.settings[name].context == "internal":
        return _MADE_WITH.get(name, "")
    number = int(there.value) if there.value.lstrip("-").isdigit() and there.unit else None
    return to_set(canary.platform, canary.settings, name, _written(str(there)), number)


def _written(value: str) -> str:
    """A value as a configuration file takes it."""
    return value.replace(" ", "") if re.fullmatch(r"-?\d+ \w+", value) else value or "''"


def _graded(name: str, evidence: str, remedy: str, canary: Profile, other: Profile) -> Finding:
    decisive = name in _DECISIVE and not _close(name, canary, other)
    make = warning if decisive else info
    here, there = canary.settings[name], other.settings[name]
    figures = {} if name in _UNTOLD else {"canary": str(here), "production": str(there)}
    return make("like_setting", evidence, remedy, setting=name, **figures)


def _close(name: str, canary: Profile, other: Profile) -> bool:
    """Whether two sizes or times are of about the same magnitude."""
    here, there = canary.settings.size(name), other.settings.size(name)
    if canary.settings[name].unit == "" or not here or not there or min(here, there) <= 0:
        return False
    return max(here, there) < _FACTOR * min(here, there)


def _one_sided(name: str, canary: Profile, other: Profile) -> Finding | None:
    """Another version does not have it, or the role may not see it."""
    if canary.version != other.version:
        return None
    blind = "the canary" if name not in canary.settings else "production"
    return info(
        "like_setting",
        f"{name}: unknown on {blind}",
        "GRANT pg_read_all_settings to the role that looks",
        setting=name,
    )


def _vacuum(canary: Profile, other: Profile) -> Iterator[Finding]:
    names = [name for name in canary.settings if _VACUUM.fullmatch(name) and name in other.settings]
    found = [
        f"{name} {canary.settings[name]} / {other.settings[name]}"
        for name in sorted(names)
        if canary.settings[name].value != other.settings[name].value
    ]
    if found:
        yield info(
            "like_autovacuum",
            f"canary / production: {listed(found, 8)}; on our own tables autovacuum is off",
            "set the same where you compare with tables of your own",
        )
    else:
        yield ok("like_autovacuum", "the same settings")


def _others(canary: Profile, other: Profile) -> Iterator[Finding]:
    compared = canary.mattering | other.mattering
    names = [
        name
        for name in sorted(canary.settings)
        if name in other.settings
        and name not in compared
        and not _VACUUM.fullmatch(name)
        and not _LOCAL.fullmatch(name)
        and canary.settings[name].context != "internal"
        and canary.settings[name].value != other.settings[name].value
    ]
    if names:
        yield info(
            "like_other_settings",
            f"{len(names)} more differ: {listed(names, 8)}",
            differing=len(names),
        )


def _extensions(canary: Profile, other: Profile) -> Iterator[Finding]:
    missing = sorted(set(other.extensions) - set(canary.extensions))
    extra = sorted(set(canary.extensions) - set(other.extensions))
    if missing:
        yield info(
            "like_extensions",
            f"only in production: {listed(missing, 8)}",
            "create those that act on inserts or bring types",
        )
    if extra:
        yield info("like_extensions", f"only on the canary: {listed(extra, 8)}")
    if not missing and not extra:
        yield ok("like_extensions", "the same")
