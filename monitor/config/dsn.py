"""DSNs: what is accepted, said without ever repeating one."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
_SECRET_PARAMETERS = ("password", "sslpassword")
_EXAMPLE = "write for example postgresql://user@host:5432/database"
_OF_THE_DRIVER = ("command_timeout", "statement_cache_size", "prepared_statement_cache_size")
_ESCAPES = "in a password, write / ? # @ as %2F %3F %23 %40"

EXECUTEMANY_MODE = (
    "executemany_mode was an option of SQLAlchemy's psycopg2 dialect, never of asyncpg's, and no"
    " longer exists: SQLAlchemy 2 picks the path itself; remove it (the page size is"
    " core_insertmanyvalues' parameter page_size)"
)


def check_dsn(dsn: str) -> None:
    """Raise ValueError with a sentence that holds nothing of the DSN if it cannot be one."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise ValueError(f"the DSN is not a URL; {_EXAMPLE}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"the DSN does not begin with postgresql://; {_EXAMPLE}")
    try:
        for host in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise ValueError(f"the DSN's port is not a number from 0 to 65535 ({_ESCAPES})") from None
    if "@" in parts.path or parts.fragment:
        raise ValueError(f"the DSN's host ends too early; {_ESCAPES}")
    _check_query(parts.query)


def _check_query(query: str) -> None:
    try:
        names = parse_qs(query, keep_blank_values=True, strict_parsing=True) if query else {}
    except ValueError:
        raise ValueError(f"the DSN's part after ? is not name=value&…; {_ESCAPES}") from None
    if "executemany_mode" in names:
        raise ValueError(EXECUTEMANY_MODE)
    for name in _OF_THE_DRIVER:
        if name in names:
            raise ValueError(
                f"{name} in a DSN would go to the server, which does not know it; write it as the"
                f" target's connect.{name}"
            )


def for_asyncpg(dsn: str) -> str:
    """The DSN as asyncpg parses it: SQLAlchemy's driver suffix is dropped."""
    scheme, separator, rest = dsn.partition("://")
    return scheme.removesuffix("+asyncpg") + separator + rest


def secrets_of(dsn: str) -> tuple[str, ...]:
    """The passwords in a DSN, as written and decoded, for masking; longer ones first."""
    parts = urlsplit(dsn)
    written = parts.password or ""
    found = {written, unquote(written)}
    for item in parts.query.split("&"):
        name, _, value = item.partition("=")
        if unquote_plus(name) in _SECRET_PARAMETERS:
            found |= {value, unquote_plus(value)}
    return tuple(sorted(found - {""}, key=lambda secret: (-len(secret), secret)))


def without_secrets(dsn: str) -> str:
    """The DSN with every password shown as ``***``."""
    parts = urlsplit(dsn)
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    user = f"{name}:***" if colon else name
    query = "&".join(_masked(item) for item in parts.query.split("&"))
    return parts._replace(netloc=f"{user}{at}{hosts}", query=query).geturl()


def _masked(item: str) -> str:
    name = item.partition("=")[0]
    return f"{name}=***" if unquote_plus(name) in _SECRET_PARAMETERS else item
