"""The doctor's findings as lines, one each, and as stable JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from monitor.canary.checks.finding import SEVERITIES, Finding, counted
from monitor.canary.checks.profile import Profile
from monitor.measure.examine import Examination


def lines(name: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Severity, check, evidence and remedy of each; at the end how many of which."""
    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        text = " ".join(f"{finding.evidence}{remedy}".split())
        yield f"{finding.severity:<7}  {finding.check:<{width}}  {text}"
    counts = _counts(findings)
    parts = [counted(counts["error"], "error"), counted(counts["warning"], "warning")]
    yield f"{name}: {', '.join(parts)}, {counts['info']} to know, {counts['ok']} ok"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in SEVERITIES}


def examination_as_json(name: str, found: Examination) -> dict[str, Any]:
    """All findings of a target; ``server`` is null where it could not be reached."""
    facts = found.facts
    server = None
    if facts is not None:
        server = {
            "version": facts.identity.version,
            "database": facts.identity.database,
            "role": facts.role.name,
            "platform": facts.platform,
        }
    return {"target": name, "server": server, **_findings(found.findings)}


def profiles_as_json(
    name: str, here: Profile, there: Profile, findings: Sequence[Finding]
) -> dict[str, Any]:
    """All differences between a canary and the server that it stands for."""
    servers = {
        which: {
            "version": side.identity.version,
            "database": side.identity.database,
            "platform": side.platform,
        }
        for which, side in (("server", here), ("like", there))
    }
    return {"target": name, **servers, **_findings(findings)}


def _findings(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "counts": _counts(findings),
        "findings": [asdict(finding) | {"figures": dict(finding.figures)} for finding in findings],
    }
