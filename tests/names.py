"""Host names that a test may make fail: a process with hosts and a name server of its own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import missing

HOST = "canary.example"
_MOUNT = (
    'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
)


class Names:
    """What a process started ``through`` this knows of names."""

    def __init__(self, folder: Path) -> None:
        self._hosts, self._resolver = folder / "hosts", folder / "resolv.conf"
        self.known()
        self._resolver.touch()

    @property
    def through(self) -> Sequence[str]:
        """The command that gives the next one these names."""
        return ("unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNT, "sh",
                str(self._hosts), str(self._resolver))  # fmt: skip

    def known(self) -> None:
        """The name leads here."""
        self._hosts.write_text(f"127.0.0.1 localhost {HOST}\n")

    def fail(self, server: str) -> None:
        """The name has to be asked for at a name server, as often as the resolver can: 30 s."""
        self._resolver.write_text(3 * f"nameserver {server}\n")
        self._hosts.write_text("127.0.0.1 localhost\n")


@contextmanager
def silent_name_server() -> Iterator[str]:
    """The address of a name server that takes questions and answers none."""
    address = "127.231.0.53"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((address, 53))
        yield address


@contextmanager
def own_names(folder: Path) -> Iterator[Names]:
    """Skips, or fails in CI, where a process cannot have files of its own in place of others."""
    names = Names(folder)
    tried = subprocess.run([*names.through, "true"], capture_output=True, check=False, text=True)
    if tried.returncode != 0:
        missing(f"no mount namespace can be made here (it needs root): {tried.stderr}")
    yield names
