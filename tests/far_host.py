"""A host of our own at the other end of a network cable, which can be pulled: packets are dropped.

A network namespace and a pair of virtual interfaces. With the far one down, what is sent there is
lost without a word, as behind a firewall that drops; nobody is refused, nothing is reset.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.conftest import missing

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_Answer = TypeVar("_Answer")


class FarHost:
    """The host: ``address`` as it is seen from here."""

    def __init__(self, name: str, near: str, far: str, subnet: int) -> None:
        self.name, self._near, self._far = name, near, far
        self.here, self.address = f"10.231.{subnet}.1", f"10.231.{subnet}.2"

    def do(self, work: Callable[[], _Answer]) -> _Answer:
        """Do something there: a process that it starts lives there."""

        def there() -> _Answer:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/run/netns/{self.name}").open() as namespace:
                if libc.setns(namespace.fileno(), _NEW_NETWORK) != 0:  # of this thread only
                    raise OSError(ctypes.get_errno(), "setns")
            return work()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(there).result()

    def pull(self) -> None:
        """From now on every packet is lost, both ways."""
        _ip("-n", self.name, "link", "set", self._far, "down")

    def plug(self) -> None:
        """Packets go through again."""
        _ip("-n", self.name, "link", "set", self._far, "up")
        self._know_each_other()

    def build(self) -> None:
        """Make the namespace and the cable."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self._near, "type", "veth", "peer", self._far, "netns", self.name)
        _ip("address", "add", f"{self.here}/24", "dev", self._near)
        _ip("link", "set", self._near, "up")
        _ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", self._far)
        _ip("-n", self.name, "link", "set", "lo", "up")
        self.plug()

    def remove(self) -> None:
        """The cable goes with the namespace, once nobody lives there any more."""
        _ip("netns", "delete", self.name)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", self._near)

    def _know_each_other(self) -> None:
        """Without asking: an address that is asked for in vain is a host that cannot be reached."""
        near = Path(f"/sys/class/net/{self._near}/address").read_text().strip()
        far = _ip("-n", self.name, "-brief", "link", "show", self._far).split()[2]
        for place, address, hardware, device in (
            ((), self.address, far, self._near),
            (("-n", self.name), self.here, near, self._far),
        ):
            _ip(*place, "neighbour", "replace", address, "lladdr", hardware, "dev", device,
                "nud", "permanent")  # fmt: skip


@contextmanager
def far_host() -> Iterator[FarHost]:
    """A host of our own; skips, or fails in CI, where none can be made."""
    number = os.getpid()
    found = FarHost(f"canary-{number}", f"cn{number}", f"cf{number}", number % 250)
    try:
        found.build()
    except (OSError, subprocess.CalledProcessError) as error:
        with suppress(OSError, subprocess.CalledProcessError):
            found.remove()
        missing(f"no network namespace can be made here (it needs root and iproute2): {error}")
    try:
        yield found
    finally:
        found.remove()


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout
