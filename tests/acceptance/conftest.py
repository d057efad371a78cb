"""A data directory per test that the private server's user can enter, and what must be gone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.alarms import Alarms, alarms
from tests.acceptance.befallen import Befallen
from tests.acceptance.fault_table import Fault, fault, pytest_terminal_summary
from tests.conftest import Database
from tests.servers import PASSWORD, Server

__all__ = ["data_dir", "fault", "pytest_terminal_summary", "rules"]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="canary-data-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alarms | None]:
    """A Prometheus with our alert rules; None where there is none."""
    with alarms(tmp_path_factory.mktemp("alarms")) as found:
        yield found


@pytest.fixture
def befallen(
    request: pytest.FixtureRequest,
    server: Server,
    database: Database,
    data_dir: Path,
    fault: Fault,
    rules: Alarms | None,
) -> Befallen:
    """A daemon that is going to measure a database of the session's server."""
    made = Befallen(fault, request.node.name, server, data_dir)
    made.database = database
    made.dsn = server.tcp_dsn(database.name, password=PASSWORD)
    made.alarms = rules
    return made
