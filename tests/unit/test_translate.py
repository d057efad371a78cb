"""Errors of driver, SQLAlchemy and system as a user reads them."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from monitor.canary.connection import translate, translated
from monitor.errors import ServerError, TargetError, TargetUnavailable
from monitor.model import Target

SECRET = "s3cr3t-canary"
TARGET = Target("main", f"postgresql://u:{SECRET}@h/d", connect_seconds=2.5)


def test_a_value_that_the_driver_cannot_encode_is_an_error_of_the_statement() -> None:
    """asyncpg raises the server's own class for it, although the server never saw the value."""
    error = asyncpg.DataError("invalid input for query argument $1: 'x'")
    assert type(translate(error, TARGET)) is ServerError


def test_a_wrong_dsn_and_a_closed_connection_make_the_target_unavailable() -> None:
    for error in (
        asyncpg.ClientConfigurationError("invalid sslmode"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    ):
        assert type(translate(error, TARGET)) is TargetUnavailable


def test_the_sqlstate_stands_behind_the_servers_own_words() -> None:
    error = asyncpg.DiskFullError("could not extend file")
    assert str(translate(error, TARGET)) == "could not extend file (SQLSTATE 53100)"


def test_a_timeout_says_how_long_was_waited() -> None:
    assert str(translate(TimeoutError(), TARGET)) == "no answer within 2.5 s"


def test_only_the_first_line_is_told_and_an_empty_text_is_named() -> None:
    assert str(translate(asyncpg.InterfaceError("one\ntwo"), TARGET)) == "one"
    assert str(translate(ConnectionResetError(), TARGET)) == "ConnectionResetError"


def test_rows_never_come_out_with_sqlalchemys_error() -> None:
    error = DBAPIError("INSERT", {"name": "a customer"}, RuntimeError("broken"))
    assert "a customer" in str(error)
    assert "a customer" not in str(translate(error, TARGET))


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("x")])
def test_a_bug_goes_through_as_itself(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, translated(TARGET):
        raise error
    assert raised.value is error


def test_the_cause_is_kept_and_a_translated_error_is_not_wrapped_again() -> None:
    cause = OSError(f"no way to u:{SECRET}@h")
    with pytest.raises(TargetError) as raised, translated(TARGET), translated(TARGET):
        raise cause
    assert raised.value.__cause__ is cause
    assert SECRET not in str(raised.value)
