"""A TCP proxy in a process of its own that delays every byte: a network that can be made slower.

``python -m tests.slow_network PORT DELAY_FILE`` forwards 127.0.0.1 to PORT, each way later by the
seconds that the file holds, and prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 16


async def _forward(port: int, delay_file: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, forth, delay_file), _copy(back, writer, delay_file))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_file: Path) -> None:
    """In order, each chunk so long after it came, however many are under way."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def drain() -> None:
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not chunk:
                sink.close()
                return
            sink.write(chunk)
            await sink.drain()

    with suppress(OSError):
        draining = asyncio.create_task(drain())
        while chunk := await source.read(_CHUNK):
            queue.put_nowait((loop.time() + _seconds(delay_file), chunk))
        queue.put_nowait((loop.time(), b""))
        await draining


def _seconds(delay_file: Path) -> float:
    return float(delay_file.read_text() or 0)


@dataclass(frozen=True)
class SlowNetwork:
    """A running proxy: its port, and the way to make it slower."""

    port: int
    _delay_file: Path

    def delay(self, seconds: float) -> None:
        """Each way, from the next chunk on."""
        self._delay_file.write_text(str(seconds))


@contextmanager
def slow_network(to_port: int, folder: Path) -> Iterator[SlowNetwork]:
    """A proxy to a local port, without delay at first."""
    delay_file = folder / "delay"
    delay_file.write_text("0")
    command = [sys.executable, "-m", "tests.slow_network", str(to_port), str(delay_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield SlowNetwork(int(process.stdout.readline()), delay_file)
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_forward(int(sys.argv[1]), Path(sys.argv[2])))
