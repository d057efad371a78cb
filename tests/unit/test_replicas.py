"""Which of two replicas measures: by what the store says and by whose run was the last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from monitor.config.settings import Settings
from monitor.daemon.replicas import client_facts, retry_at, turn_comes

NOW = datetime(2026, 11, 25, 14, tzinfo=UTC)
INTERVAL = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


def test_the_others_come_half_an_interval_later_or_sooner_if_the_last_holder_is_gone() -> None:
    assert turn_comes(NOW, INTERVAL, MINUTE) == (NOW + MINUTE, NOW + INTERVAL / 2)
    assert turn_comes(NOW, MINUTE, MINUTE) == (NOW + MINUTE / 2, NOW + MINUTE / 2)


def test_a_lock_is_tried_again_soon_but_not_all_the_time() -> None:
    seconds = [(retry_at(timedelta(seconds=s), NOW) - NOW).total_seconds() for s in (1, 50, 600)]
    assert seconds == [1.0, 5.0, 10.0]


def test_a_client_says_who_it_is_only_where_there_may_be_several(tmp_path: object) -> None:
    alone = Settings(data_dir=tmp_path)
    assert client_facts(alone) == {}
    shared = Settings(data_dir=tmp_path, store={"url": "postgresql://h/d"})  # type: ignore[arg-type]
    facts = client_facts(shared)
    assert facts == client_facts(shared)  # kept in the data directory
    assert facts["holder"].startswith(facts["node"])
    named = Settings(data_dir=tmp_path, holder="a", node="n1")
    assert client_facts(named) == {"holder": "a", "node": "n1"}
