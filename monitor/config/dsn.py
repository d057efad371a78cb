"""DSNs: what is accepted, said without ever repeating one."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
_EXAMPLE = "write for example postgresql://user@host:5432/database"

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
        hosts = parts.netloc.rpartition("@")[2].split(",")
        _ = parts.port if len(hosts) == 1 else None
    except ValueError:
        raise ValueError(
            "the DSN's port is not a number from 0 to 65535 (a / or @ in a password must be"
            " written %2F, %40)"
        ) from None
    if "executemany_mode" in parse_qs(parts.query, keep_blank_values=True):
        raise ValueError(EXECUTEMANY_MODE)


def for_asyncpg(dsn: str) -> str:
    """The DSN as asyncpg parses it: SQLAlchemy's driver suffix is dropped."""
    scheme, separator, rest = dsn.partition("://")
    return scheme.removesuffix("+asyncpg") + separator + rest


def secrets_of(dsn: str) -> tuple[str, ...]:
    """The passwords in a DSN, as written and decoded, for masking."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    found = [parts.password, *query.get("password", ()), *query.get("sslpassword", ())]
    return tuple(secret for secret in found if secret)


def without_secrets(dsn: str) -> str:
    """The DSN with every password shown as ``***``."""
    for secret in secrets_of(dsn):
        dsn = dsn.replace(secret, "***")
    return dsn
