"""What the Dockerfile says is done, line by line, and what comes of it run as the image would be.

There is no container engine here; tests/acceptance/image.py says how the lines are carried out, and
the test prints which of them it cannot cover.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor import __version__
from tests.acceptance.image import NOT_COVERED, Build, Stage, can_be_had, instructions
from tests.acceptance.process import ROOT, SMALL
from tests.conftest import Database, missing
from tests.servers import PASSWORD, wait_until

pytestmark = pytest.mark.slow

DATA = "/var/lib/ingest-canary"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The image, as far as it can be had without an engine."""
    if not can_be_had():
        missing("carrying out a Dockerfile needs root, mount namespaces and overlays")
    build = Build(ROOT, tmp_path_factory.mktemp("image"))
    for instruction in instructions((ROOT / "Dockerfile").read_text()):
        build.carry_out(instruction)
    print("\nDockerfile carried out; what this cannot cover:")
    for name in dict.fromkeys(build.done):
        if name in NOT_COVERED:
            print(f"  {name} ({build.done.count(name)}): {NOT_COVERED[name]}")
    return build


@pytest.fixture(scope="module")
def image(build: Build) -> Stage:
    return build.stage


def asked(image: Stage, code: str) -> str:
    """What Python code prints inside."""
    done = image.run(["python", "-c", code], network=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_holds_the_program_at_the_versions_of_the_lock(image: Stage) -> None:
    code = (
        "from importlib.metadata import distributions\n"
        "print(*(f'{one.name}=={one.version}' for one in distributions()))"
    )
    installed = {word.lower().replace("_", "-") for word in asked(image, code).split()}
    locked = set(
        re.findall(r"^([a-z0-9.-]+==[^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.M)
    )
    assert f"ingest-canary=={__version__}" in installed
    assert installed - {f"ingest-canary=={__version__}"} <= locked
    left_out = {name.partition("==")[0] for name in locked - installed}
    build = {"hatchling", "editables", "packaging", "pathspec", "pluggy", "tomlkit"}
    other_platforms = {"colorama", "tzdata", "trove-classifiers"}
    assert {"hatchling", "editables"} <= left_out <= build | other_platforms, left_out


@pytest.mark.parametrize("tool", ["pip", "setuptools", "wheel", "hatchling", "ensurepip"])
def test_nothing_that_installs_or_builds_is_left(image: Stage, tool: str) -> None:
    for python in ("python", "/usr/local/bin/python"):
        done = image.run([python, "-c", f"import {tool}"], network=False)
        assert "ModuleNotFoundError" in done.stderr, (python, tool)


def test_nothing_in_it_belongs_to_its_user_or_can_be_written_by_it(image: Stage) -> None:
    done = image.run(["find", "/opt", "/usr/local", "-writable", "!", "-type", "l"], network=False)
    assert done.returncode == 0
    assert done.stdout == ""


class Container:
    """The image's command as process 1, its root read-only, without capabilities."""

    def __init__(self, image: Stage, data: Path, settings: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.settings = {"INGEST_CANARY_WEB__PORT": str(self.port), **SMALL, **settings}
        self.image = image
        self.log = data.parent / f"{data.name}.log"
        command = [*image.commands["ENTRYPOINT"], *image.commands["CMD"]]
        outer = image.outer(
            command, self.settings, bound={str(data): DATA}, read_only=True, first_process=True
        )
        with self.log.open("w") as log:
            self.process = subprocess.Popen(outer, stdout=log, stderr=log)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()  # unshare takes its child along
        self.process.wait()

    @property
    def first_process(self) -> int:
        """Process id outside of the process that is 1 inside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        (child,) = children.split()
        return int(child)

    def get(self, path: str) -> tuple[int, str]:
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""
        except OSError as error:
            return 0, str(error)

    def wait_for_run(self, target: str) -> str:
        """Wait until a run went well; returns the metrics."""
        wanted = (
            f'ingest_canary_runs_total{{outcome="ok",target="{target}",trigger="scheduled"}} 1.0'
        )

        def ran() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return wanted in self.get("/metrics")[1]

        try:
            wait_until(ran, f"a run on {target}", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; log: {self.log.read_text()}") from error
        return self.get("/metrics")[1]

    def healthcheck(self) -> int:
        """The image's HEALTHCHECK, inside."""
        return self.image.run(self.image.commands["HEALTHCHECK"], self.settings).returncode


def target(database: Database) -> dict[str, str]:
    """The database by TCP: its socket is not to be seen from inside."""
    dsn = database.server.tcp_dsn(database.name, password=PASSWORD)
    return {"INGEST_CANARY_TARGETS__MAIN__DSN": dsn}


@pytest.fixture
def data(tmp_path: Path, image: Stage) -> Iterator[Path]:
    """The volume."""
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o750)
    os.chown(directory, *map(int, image.user.split(":")))
    for parent in directory.parents:
        if parent.stat().st_mode & 0o001 == 0 and str(parent).startswith("/tmp/"):
            parent.chmod(0o711)
    yield directory


def test_it_measures_a_database_as_an_ordinary_user_on_a_read_only_root(
    image: Stage, data: Path, database: Database
) -> None:
    with Container(image, data, target(database)) as container:
        container.wait_for_run("main")
        status = Path(f"/proc/{container.first_process}/status").read_text()
        assert re.search(r"^Uid:\s+65532\s+65532\s+65532\s+65532$", status, re.M)
        assert re.search(r"^CapBnd:\s+0000000000000000$", status, re.M)
        assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.M)
        mounts = Path(f"/proc/{container.first_process}/mounts").read_text()
        assert re.search(r"^\S+ / \S+ ro,", mounts, re.M)
        assert container.get("/-/ready")[0] == 200
        assert container.healthcheck() == 0
        os.kill(container.first_process, signal.SIGTERM)
        assert container.process.wait(timeout=15) == 0, container.log.read_text()
        assert "Traceback" not in container.log.read_text()
        assert container.healthcheck() != 0
    assert (data / "store.sqlite").exists()


def test_without_a_target_its_user_may_start_the_private_server(image: Stage, data: Path) -> None:
    with Container(image, data, {}) as container:
        container.wait_for_run("private")
        os.kill(container.first_process, signal.SIGTERM)
        assert container.process.wait(timeout=15) == 0, container.log.read_text()


def test_a_user_id_that_the_image_does_not_know_measures_too(
    image: Stage, data: Path, database: Database
) -> None:
    """As on OpenShift, which gives every namespace its own."""
    other = Stage(image.directory, image.environment, image.workdir, "1000660000:0", image.commands)
    os.chown(data, 1000660000, 0)
    with Container(other, data, target(database)) as container:
        container.wait_for_run("main")
        os.kill(container.first_process, signal.SIGTERM)
        assert container.process.wait(timeout=15) == 0, container.log.read_text()
