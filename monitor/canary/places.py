"""The private server's files: directories that are ours, locks, and who runs on them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from monitor.canary.account import Account, telling_line
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
    if not serves(pid, data):
        return None
    return pid, lines[7].strip() if len(lines) > 7 else "starting"


def serves(pid: int, data: Path) -> bool:
    """Whether the process is a living postmaster of the data directory."""
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
        if living and not serves(int(first), data):
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
