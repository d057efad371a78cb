"""Which settings of a session an application may bring along, and which are the runner's own."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.config.dsn import EXECUTEMANY_MODE

_BOUND = "it bounds what a session of ours may do to the server, and the runner sets it"
_PLACE = "it belongs into the DSN"

#: Why a server setting cannot be an application's here, by name.
_REFUSED: Mapping[str, str] = {
    "executemany_mode": EXECUTEMANY_MODE,
    "application_name": "it is how our sessions are known",
    "client_encoding": "asyncpg speaks UTF8 only",
    "command_timeout": "it is asyncpg's, not the server's; write it beside server_settings",
    "default_transaction_read_only": "inserts need transactions that write",
    "transaction_read_only": "inserts need transactions that write",
    "options": "write each setting by its name",
    "search_path": "every name is schema-qualified, and the path is pinned",
    "statement_cache_size": "it is asyncpg's, not the server's; write it beside server_settings",
    "statement_timeout": "it is the round's deadline, limits.round_timeout",
    "transaction_timeout": "it would end rounds; their deadline is limits.round_timeout",
    "user": _PLACE,
    "database": _PLACE,
    "replication": "a replication session cannot insert",
    **dict.fromkeys(
        (
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
            "client_connection_check_interval",
            "tcp_keepalives_idle",
            "tcp_keepalives_interval",
            "tcp_keepalives_count",
            "tcp_user_timeout",
        ),
        _BOUND,
    ),
}


def check_server_settings(settings: Mapping[str, str]) -> None:
    """Raise ValueError with a sentence for a setting that would break measuring or a bound."""
    for name in settings:
        reason = _REFUSED.get(name.strip().lower())
        if reason:
            raise ValueError(f"{name} is not for the application to set here: {reason}")


def check_command_timeout(target: str, seconds: float | None, round_seconds: float) -> None:
    """Raise ValueError if asyncpg would give a statement up before its round's deadline."""
    if seconds is None or seconds > round_seconds:
        return
    raise ValueError(
        f"targets.{target}.connect.command_timeout, {seconds:g} s, must be longer than"
        f" limits.round_timeout, {round_seconds:g} s: the driver would end a long insert by"
        " TimeoutError where the round's own deadline should; raise it, leave it out, or lower"
        " limits.round_timeout"
    )
