"""What else acts on our statements: logging, auditing, plans, triggers, publications."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, duration, error, info, listed, ok, warning
from monitor.canary.checks.remedies import for_our_sessions
from monitor.canary.identifiers import qualified

#: Preloaded libraries that are known to do nothing to a statement, or that we want.
_HARMLESS = frozenset(
    {"pg_stat_statements", "pg_prewarm", "pg_cron", "rdsutils", "google_insights"}
)


def hooks(facts: Facts) -> Iterator[Finding]:
    """Everything that turns an insert into more than an insert."""
    yield _statement_logging(facts)
    yield _slow_logging(facts)
    yield _auto_explain(facts)
    yield _statement_stats(facts)
    yield _publications(facts)
    yield _event_triggers(facts)
    yield _triggers(facts)
    yield _libraries(facts)


def _statement_logging(facts: Facts) -> Finding:
    if facts.logging is None:
        return ok("statement_logging", "no setting logs every statement")
    text = f"{facts.logging} logs every statement: a run writes some 100,000 log lines"
    name = facts.logging.partition(" = ")[0]
    off = {"log_statement": "none", "pgaudit.log": "none", "log_duration": "off"}
    remedy = for_our_sessions(facts, name, off.get(name, "-1"))
    if facts.target.allow_statement_logging:
        return warning("statement_logging", f"{text} (allowed by allow_statement_logging)", remedy)
    return error("statement_logging", text, f"{remedy}, or allow_statement_logging = true")


def _slow_logging(facts: Facts) -> Finding:
    """A slow unnest would be logged with all its arrays."""
    seconds = facts.settings.seconds("log_min_duration_statement")
    length = facts.settings.number("log_parameter_max_length")
    if seconds is None or seconds <= 0:
        return ok("slow_statement_logging", "off")
    if seconds < 1 and length == -1:
        return warning(
            "slow_statement_logging",
            f"statements over {duration(seconds)} are logged with all their parameters: a round of"
            " unnest is megabytes",
            for_our_sessions(facts, "log_parameter_max_length", "256"),
            log_min_duration_seconds=seconds,
        )
    return ok("slow_statement_logging", f"over {duration(seconds)}")


def _auto_explain(facts: Facts) -> Finding:
    settings = facts.settings
    threshold = settings.number("auto_explain.log_min_duration")
    if threshold is None or threshold < 0:
        return ok("auto_explain", "logs nothing")
    timed = settings.on("auto_explain.log_timing") is not False
    if settings.on("auto_explain.log_analyze") and timed:
        return warning(
            "auto_explain",
            "log_analyze with log_timing instruments every statement, whether it is logged or not",
            for_our_sessions(facts, "auto_explain.log_timing", "off"),
        )
    return info("auto_explain", f"logs plans over {threshold:g} ms")


def _statement_stats(facts: Facts) -> Finding:
    names = ("log_parser_stats", "log_planner_stats", "log_executor_stats", "log_statement_stats")
    switched = [name for name in names if facts.settings.on(name)]
    if switched:
        return warning(
            "statement_stats",
            f"{listed(switched)}: every statement logs its own statistics",
            for_our_sessions(facts, switched[0], "off"),
        )
    return ok("statement_stats", "off")


def _publications(facts: Facts) -> Finding:
    if not facts.publications:
        return ok("publications", f"none covers schema {facts.target.schema}")
    text = (
        f"{listed(facts.publications)} covers schema {facts.target.schema}: our first insert would"
        " stop its subscribers"
    )
    if facts.target.allow_publication:
        return warning(
            "publications", f"{text} (allowed by allow_publication)", "publish tables by name"
        )
    return error("publications", text, "publish tables by name, or allow_publication = true")


def _event_triggers(facts: Facts) -> Finding:
    ddl = [each for each in facts.event_triggers if each.event != "login"]
    login = [each for each in facts.event_triggers if each.event == "login"]
    if ddl:
        named = listed(f"{each.name} ({each.event})" for each in ddl)
        return warning(
            "event_triggers",
            f"{named} fires when we make or remove tables, outside the clocks: it may refuse or log"
            " them",
            f"let it pass over schema {facts.target.schema}; tables are made once and when their"
            " definition changed",
        )
    if login:
        return info(
            "event_triggers", f"{listed(each.name for each in login)} runs at every login of ours"
        )
    return ok("event_triggers", "none fires on what we do")


def _triggers(facts: Facts) -> Finding:
    found = [
        (table.name, table.triggers) for table in facts.tables if table.ours and table.triggers
    ]
    if not found:
        return ok("triggers", "none on our tables")
    table, names = found[0]
    return warning(
        "triggers",
        f"{listed(names)} on {table} is not ours, and its work is in every figure",
        f"DROP TRIGGER {names[0]} ON {qualified(facts.target.schema, table)}, if nobody wants it",
    )


def _libraries(facts: Facts) -> Finding:
    texts = [
        facts.settings.text(f"{kind}_preload_libraries") or ""
        for kind in ("shared", "session", "local")
    ]
    names = {
        name.strip().strip('"').rpartition("/")[2] for text in texts for name in text.split(",")
    }
    others = sorted(names - _HARMLESS - {""})
    if others:
        return info(
            "libraries",
            f"{listed(others)}: loaded into the server, and may work on every statement",
            "load the same where you compare with",
        )
    return ok("libraries", "none that works on statements")
