"""What the web server shows: made anew where something changed, never while a round is timed."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor import __version__
from monitor.config.settings import Settings
from monitor.daemon.assembly import thresholds
from monitor.daemon.post import Post
from monitor.daemon.replicas import Replica
from monitor.daemon.turns import Turns
from monitor.export.exposition import Exposition
from monitor.export.site import Site
from monitor.export.snapshot import Snapshot
from monitor.export.web import Published
from monitor.measure.clocks import SteadyClock
from monitor.schedule.schedule import Schedule
from monitor.store.recorder import Recorder

log = logging.getLogger(__name__)

#: Share of the time from which on runs are said to fill it.
CROWDED = 0.8


@dataclass(slots=True)
class Publisher:
    """Makes snapshots of all posts, and of these what is served."""

    settings: Settings
    published: Published
    posts: Mapping[str, Post]
    clock: SteadyClock
    recorder: Recorder
    replica: Replica | None
    turns: Turns
    schedule: Schedule | None = None
    _exposition: Exposition = field(default_factory=Exposition)
    _site: Site = field(default_factory=Site)
    _due: bool = False
    _crowded: bool = False

    def publish(self) -> None:
        """Show what is now; while a run goes on, ``catch_up`` does it after that run."""
        self._due = self.turns.going
        if not self._due:
            self._make()

    def publish_between_rounds(self) -> None:
        """Show what is now; for a run itself, which times nothing just then."""
        self._due = False
        self._make()

    def catch_up(self) -> None:
        """Show what was put off, if no run goes on any more."""
        if self._due:
            self.publish()

    def _make(self) -> None:
        for name, post in self.posts.items():
            post.tally.next_run_at = self._next_run_at(post)
            post.tally.changes = post.judge.state(name).changes
            post.tally.false_alarms = post.judge.state(name).false_alarms
        snapshot = Snapshot(
            at=self.clock.now(),
            version=__version__,
            python=platform.python_version(),
            targets=tuple(post.tally.snapshot() for post in self.posts.values()),
            store=self.recorder.health(),
            thresholds=thresholds(self.settings),
            runs_at_once=self.settings.runs_at_once,
        )
        self.published.contents = self._site.contents(snapshot)
        self.published.metrics = self._exposition.render(snapshot)
        self._warn_if_crowded(snapshot.utilisation)

    def _next_run_at(self, post: Post) -> datetime | None:
        if self.schedule is None:
            return None
        expected = self.replica.expected(post.name, post.interval) if self.replica else None
        if expected is not None:
            return self.schedule.in_window(post.name, expected)
        return self.schedule.next_run_at(post.name)

    def _warn_if_crowded(self, utilisation: float) -> None:
        """Once when runs come to fill their time, before they are skipped for it."""
        crowded = utilisation > CROWDED
        if crowded and not self._crowded and len(self.posts) > 1:
            log.warning(
                "runs of %d targets take %.0f %% of the time that there is: lengthen intervals,"
                " raise runs_at_once, or give some targets to another daemon",
                len(self.posts),
                100 * utilisation,
            )
        self._crowded = crowded
