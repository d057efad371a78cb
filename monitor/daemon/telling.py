"""What a judgement changes, as log lines: stories that begin, grow or end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from monitor.detect.story import sentence, stories
from monitor.judgement import STATES, Change, Judgement

log = logging.getLogger(__name__)


def tell(target: str, before: Sequence[Change], judgement: Judgement) -> None:
    """Log how many cases are in which state, and each story that the judgement touches.

    ``before`` stood until then. A story that begins to alarm is a warning, all else is information.
    """
    states = Counter(judgement.cases.values())
    counted = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    log.info("%s: %s", target, counted or "nothing to judge")
    fresh = {change.id for change in judgement.changes}
    ended = {closing.change_id for closing in judgement.closings}
    for story in stories((*before, *judgement.changes), judgement.closings):
        ids = {change.id for change in story.changes}
        if not ids & (fresh | ended):
            continue
        alarmed = any(change.alarming for change in story.changes if change.id not in fresh)
        begins = story.alarming and not alarmed and not story.ended
        log.log(logging.WARNING if begins else logging.INFO, "%s [%s]", sentence(story), story.id)
