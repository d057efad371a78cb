"""Whose turn it is: one at a time, in order, and none that hangs keeps its turn for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from monitor.daemon import turns as module
from monitor.daemon.turns import Turns

SECONDS = 10


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with asyncio.timeout(SECONDS):
            return await work()

    return asyncio.run(go())


def test_runs_take_turns_in_the_order_of_asking() -> None:
    async def work() -> list[str]:
        turns, log = Turns(1), []

        async def one(name: str) -> None:
            async with turns.turn(name, 60) as turn:
                turns.progress(turn)
                log.append(f"{name} begins")
                await asyncio.sleep(0.01)
                log.append(f"{name} ends")

        await asyncio.gather(*(one(name) for name in "abc"))
        return log

    names = [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert run(work) == names


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_than_allowed_go_on_together(at_once: int) -> None:
    async def work() -> int:
        turns, going, most = Turns(at_once), 0, 0

        async def one(name: str) -> None:
            nonlocal going, most
            async with turns.turn(name, 60) as turn:
                turns.progress(turn)
                going += 1
                most = max(most, going)
                await asyncio.sleep(0.005)
                going -= 1

        await asyncio.gather(*(one(str(number)) for number in range(12)))
        return most

    assert run(work) == at_once


def test_a_run_that_hangs_passes_its_turn_on_and_both_know_when_it_lives_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.05)

    async def work() -> tuple[set[str], set[str]]:
        turns, second_goes = Turns(1), asyncio.Event()

        async def hanging() -> set[str]:
            async with turns.turn("hanging", 60) as turn:
                await second_goes.wait()
                turns.progress(turn)
                return turn.beside

        async def waiting() -> set[str]:
            async with turns.turn("waiting", 60) as turn:
                turns.progress(turn)
                second_goes.set()
                await asyncio.sleep(0.01)
                return turn.beside

        return await asyncio.gather(hanging(), waiting())  # type: ignore[return-value]

    assert tuple(run(work)) == ({"waiting"}, {"hanging"})


def test_a_run_that_makes_progress_keeps_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(module, "LEAST_PATIENCE_SECONDS", 0.1)

    async def work() -> bool:
        turns, done = Turns(1), False

        async def slow() -> None:
            nonlocal done
            async with turns.turn("slow", 0.1) as turn:
                for _ in range(30):
                    turns.progress(turn)
                    await asyncio.sleep(0.01)
                done = True

        async def waiting() -> bool:
            async with turns.turn("waiting", 0.1):
                return done

        return (await asyncio.gather(slow(), waiting()))[1]

    assert run(work)


def test_quiet_is_kept_by_all_and_waits_for_none_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.05)

    async def work() -> list[str]:
        turns, log, kept = Turns(2), [], asyncio.Event()

        async def hanging() -> None:
            async with turns.turn("hanging", 60):
                await kept.wait()

        async def keeping() -> None:
            async with turns.quiet():
                log.append("quiet")
                await asyncio.sleep(0.02)
                log.append("loud")
            kept.set()

        async def late() -> None:
            await asyncio.sleep(0.06)  # by now it is quiet
            async with turns.turn("late", 60):
                log.append("late")

        await asyncio.gather(hanging(), keeping(), late())
        return log

    assert run(work) == ["quiet", "loud", "late"]


def test_one_that_gives_up_waiting_holds_up_nobody() -> None:
    async def work() -> bool:
        turns = Turns(1)
        async with turns.turn("a", 60) as turn:
            turns.progress(turn)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02), turns.turn("b", 60):
                    pass
        async with turns.turn("c", 60):
            return True

    assert run(work)
