"""The project's own files agree: dependencies and locks, Makefile, CI script and README."""

import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"

RUNTIME = [
    *PYPROJECT["project"]["dependencies"],
    *PYPROJECT["project"]["optional-dependencies"]["embedded"],
    *PYPROJECT["dependency-groups"]["build"],
]
DECLARED = [(RUNTIME_LOCK, text) for text in RUNTIME] + [
    (DEV_LOCK, text) for text in [*RUNTIME, *PYPROJECT["dependency-groups"]["dev"]]
]


def lock_entries(lock: Path) -> list[str]:
    """The requirements of a lock file, each with its options on one line, without comments."""
    joined = lock.read_text().replace("\\\n", " ")
    lines = (line.partition("#")[0].strip() for line in joined.splitlines())
    return [line for line in lines if line]


def locked_versions(lock: Path) -> dict[str, Version]:
    pins: dict[str, Version] = {}
    for entry in lock_entries(lock):
        requirement = Requirement(entry.partition(" --hash=")[0])
        (pin,) = requirement.specifier
        pins[canonicalize_name(requirement.name)] = Version(pin.version)
    return pins


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, DEV_LOCK], ids=lambda lock: lock.name)
def test_each_locked_requirement_is_a_version_with_hashes_and_nothing_else(lock: Path) -> None:
    entry_form = re.compile(
        r"[a-z0-9.-]+==[^\s;]+"  # one exact version
        r"( ; [^-@]+?)?"  # for some platforms only
        r"( +--hash=sha256:[0-9a-f]{64})+"
    )
    entries = lock_entries(lock)

    assert entries
    assert [entry for entry in entries if not entry_form.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, DEV_LOCK], ids=lambda lock: lock.name)
def test_lock_names_no_place_to_download_from(lock: Path) -> None:
    place = re.compile(r"://|file:|/opt| @ |index-url|no-index|find-links|trusted-host")

    assert [line for line in lock.read_text().splitlines() if place.search(line)] == []


@pytest.mark.parametrize(
    ("lock", "text"), DECLARED, ids=[f"{lock.stem}-{text}" for lock, text in DECLARED]
)
def test_declared_dependency_is_locked_at_a_version_it_admits(lock: Path, text: str) -> None:
    requirement = Requirement(text)
    version = locked_versions(lock).get(canonicalize_name(requirement.name))

    assert version is not None, f"{text} is not in {lock.name}: run make lock"
    assert version in requirement.specifier, f"{lock.name} has {version}: run make lock"


def test_development_lock_extends_the_runtime_lock() -> None:
    assert locked_versions(RUNTIME_LOCK).items() <= locked_versions(DEV_LOCK).items()


def test_build_backend_needs_no_more_than_the_build_group() -> None:
    assert PYPROJECT["build-system"]["requires"][0] in PYPROJECT["dependency-groups"]["build"]


def makefile_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", makefile, re.MULTILINE))


def readme_make_targets(readme: str) -> set[str]:
    """Targets that commands in a README's code (fenced, indented or in backquotes) ask make for."""
    code = re.findall(r"^```.*?^```|`[^`\n]+`|^(?: {4}|\t).+$", readme, re.MULTILINE | re.DOTALL)
    call = re.compile(r"\bmake ((?:[A-Z_]+=\S+ )*)([a-z][a-z0-9-]*)")
    return {match[2] for piece in code for match in call.finditer(piece)}


def test_readme_names_only_targets_that_exist() -> None:
    named = readme_make_targets((ROOT / "README.md").read_text())

    assert {"run", "test"} <= named, "README.md tells neither how to start nor how to test"
    assert named <= makefile_targets()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    commands = [line for line in script.read_text().splitlines() if not line.startswith("#")]

    assert os.access(script, os.X_OK)
    assert commands[-1] == "exec make test"
    assert commands[0] == "set -euo pipefail"
