"""Is a connection pooler in between, and does it keep a session on one backend?

In transaction mode it does not, and then session locks, settings and prepared statements belong to
nobody. Everything here leaves no trace in a pooled backend: unnamed statements, nothing set.
"""

from __future__ import annotations

import asyncio

from monitor.canary.connection import Driver, connect
from monitor.errors import TargetRefused
from monitor.model import Target

#: Seconds after which a client that waits for a backend is taken to find none free.
WAIT_SECONDS = 2.0

_BACKEND = "SELECT pg_catalog.pg_backend_pid()"


async def refuse_transaction_pooler(first: Driver, target: Target) -> None:
    """Raise TargetRefused if transactions of one session can land on several backends.

    ``first`` is an idle connection without statement cache. A pooler shows by a backend pid that is
    not the one of the start-up message; its mode by two clients that share or swap backends.
    """
    if await _backend(first) == first.get_server_pid():
        return
    try:
        second = await connect(target, statement_cache=False)
    except TimeoutError:
        return  # in session mode a pool of one has no backend left for a second client
    try:
        if await _share_or_swap(first, second):
            raise TargetRefused(
                "a connection pooler in transaction mode stands in between: session locks do not"
                " hold there; connect directly to PostgreSQL or use a pool in session mode."
            )
    finally:
        second.terminate()


async def _share_or_swap(first: Driver, second: Driver) -> bool:
    """Whether both saw one backend, or one of them several, in an order that tempts a pool to."""
    seen: list[set[int]] = [set(), set()]
    clients = (first, second)
    for opening, closing in (((0, 1), (0, 1)), ((0, 1), (1, 0)), ((1, 0), (0, 1))):
        for which in opening:
            opened = asyncio.ensure_future(_begin(clients[which]))
            if not await _soon(opened):
                return await _waits_for(first, opened, seen[0])
            seen[which].add(opened.result())
        for which in closing:
            await clients[which].execute("COMMIT")
    for which in (0, 1, 1, 0):
        seen[which].add(await _backend(clients[which]))
    return len(seen[0]) > 1 or len(seen[1]) > 1 or bool(seen[0] & seen[1])


async def _waits_for(first: Driver, opened: asyncio.Future[int], seen: set[int]) -> bool:
    """Whether a client that found no backend free gets the first one's when its transaction ends.

    In session mode the first keeps it, and ``opened`` is not done before its client is closed.
    """
    if not seen:
        raise TimeoutError
    await first.execute("COMMIT")
    if await _soon(opened):
        return opened.result() in seen
    again = asyncio.ensure_future(_backend(first))
    return not (await _soon(again) and again.result() in seen)


async def _soon(answer: asyncio.Future[int]) -> bool:
    """Whether the answer comes in time. It is not cancelled, since that could hang in turn."""
    answer.add_done_callback(lambda late: late.cancelled() or late.exception())
    done, _ = await asyncio.wait({answer}, timeout=WAIT_SECONDS)
    return bool(done)


async def _begin(client: Driver) -> int:
    await client.execute("BEGIN")
    pid: int = await client.fetchval(_BACKEND)
    return pid


async def _backend(client: Driver) -> int:
    """The backend's pid, asked inside a transaction: a pool must keep one for its length."""
    async with client.transaction(readonly=True):
        pid: int = await client.fetchval(_BACKEND)
    return pid
