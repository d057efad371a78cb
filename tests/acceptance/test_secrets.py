"""A password, planted, and looked for in everything that the program says, serves and writes."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import bcrypt
import pytest

from tests.acceptance.process import Daemon, call
from tests.conftest import Database
from tests.integration.helpers import slow_rows
from tests.servers import Server, wait_until

#: With what URLs, JSON and shells write otherwise; the core alone would be enough to be found.
CORE = "s3cr3t-canary"
SECRET = f'{CORE}/%"x'
ROLE = "planted"
SALT = b"$2b$04$abcdefghijklmnopqrstuu"
HASH = bcrypt.hashpw(b"user's own", SALT).decode()
#: Nothing of these may be found; of the hash what follows its kind and cost.
PARTS = (CORE, HASH[7:])
COMMANDS = (
    "config show",
    "config check --debug",
    "doctor --json --debug",
    "measure --json --record --debug",
    "measure --strategy asyncpg_copy --debug",
    "explain --json --debug",
    "history --json",
    "changes --json --debug",
    "store status --json",
    "cleanup --debug",
)
PLUGIN = """
import os
from monitor.suite.strategies import strategy
def fail():
    raise ValueError("connected by " + os.environ["INGEST_CANARY_TARGETS__MAIN__DSN"])
@strategy(rows="tuples")
async def telltale(into, rows):
    "Tells all it knows"
    fail()
"""


@dataclass
class Scene:
    """Where the daemon measures, with what more it is told, and all that came of it."""

    database: Database
    data_dir: Path
    outside: Path
    stack: ExitStack
    extra: dict[str, str] = field(default_factory=dict)
    config: str = ""
    expected: str = "outcome=ok"

    def dsn(self, password: str = SECRET, port: int | None = None, host: str = "127.0.0.1") -> str:
        secret = f":{quote(password, safe='')}" if password else ""
        place = f"{host}:{port or self.database.server.port}"
        return f"postgresql://{ROLE}{secret}@{place}/{self.database.name}"

    def measures_by(self, dsn: str) -> None:
        self.extra["INGEST_CANARY_TARGETS__MAIN__DSN"] = dsn


@pytest.fixture
def scene(
    server: Server,
    database: Database,
    data_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A role with the planted password on a real server."""
    server.sql(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD '{SECRET}'")
    with ExitStack() as stack:
        found = Scene(database, data_dir, tmp_path_factory.mktemp("outside"), stack)
        found.measures_by(found.dsn())
        yield found
    database.sql(f"DROP OWNED BY {ROLE} CASCADE")
    server.sql(f"DROP ROLE {ROLE}")


def right(_: Scene) -> None:
    """Nothing is wrong."""


def wrong_password(scene: Scene) -> None:
    scene.measures_by(scene.dsn(f"{SECRET}y"))
    scene.expected = "reason=authentication"


def refused(scene: Scene) -> None:
    scene.measures_by(scene.dsn(port=1))
    scene.expected = "reason=unavailable"


def bad_host(scene: Scene) -> None:
    scene.measures_by(scene.dsn(host="nowhere.invalid"))
    scene.expected = "reason=unavailable"


def tls_refused(scene: Scene) -> None:
    scene.measures_by(f"{scene.dsn()}?sslmode=require")
    scene.expected = "reason=unavailable"


def black_hole(scene: Scene) -> None:
    silent = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    scene.measures_by(scene.dsn(port=silent.getsockname()[1]))
    scene.extra["INGEST_CANARY_TARGETS__MAIN__CONNECT_TIMEOUT"] = "1s"
    scene.expected = "reason=unavailable"


def no_such_database(scene: Scene) -> None:
    scene.measures_by(scene.dsn() + "x")
    scene.expected = "reason=unavailable"


def password_file(scene: Scene) -> None:
    file = scene.outside / "passfile"
    escaped = SECRET.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"*:*:*:*:{escaped}\n")
    file.chmod(0o600)
    scene.measures_by(f"{scene.dsn('')}?passfile={quote(str(file), safe='')}")


def dsn_file(scene: Scene) -> None:
    file = scene.outside / "dsn"
    file.write_text(scene.extra.pop("INGEST_CANARY_TARGETS__MAIN__DSN"))
    scene.extra["INGEST_CANARY_TARGETS__MAIN__DSN_FILE"] = str(file)


def store_down(scene: Scene) -> None:
    scene.extra["INGEST_CANARY_STORE__URL"] = scene.dsn(port=1)


def telling_plugin(scene: Scene) -> None:
    plugin = scene.outside / "telltale.py"
    plugin.write_text(PLUGIN)
    scene.config = (
        f'[suite]\nplugins = ["{plugin}"]\ncases = [{{ strategy = "telltale" }},'
        ' { strategy = "asyncpg_copy" }]\n'
    )
    scene.expected = "outcome=partial"


def killed_mid_round(scene: Scene) -> None:
    done = call(scene.data_dir, "measure", extra=scene.extra)
    assert done.returncode == 0, done.stderr
    slow_rows(scene.database, "ingest_canary.orders", 0.02)
    scene.stack.callback(scene.database.sql, "DROP FUNCTION IF EXISTS public.before_row CASCADE")
    with Daemon(scene.data_dir, extra=scene.extra) as daemon:
        wait_until(lambda: (daemon.metric("lock_held", target="main") or 0) == 1, "a run", 60)
        scene.database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'ingest-canary' AND datname = current_database()"
        )
        daemon.wait_for_metric("runs_total", 1, outcome="failed")
        nothing_of_it(daemon.log + daemon.output + daemon.get("/targets/main")[1])
        daemon.process.kill()
    scene.database.sql("DROP FUNCTION public.before_row CASCADE")


#: Those of most words are logged as JSON, the others as plain lines.
BEFALLS: tuple[tuple[Callable[[Scene], None], str], ...] = (
    (right, "plain"),
    (wrong_password, "json"),
    (refused, "plain"),
    (bad_host, "json"),
    (tls_refused, "plain"),
    (black_hole, "plain"),
    (no_such_database, "json"),
    (password_file, "plain"),
    (dsn_file, "plain"),
    (store_down, "plain"),
    (telling_plugin, "json"),
    (killed_mid_round, "plain"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("befalls", "log_format"), BEFALLS)
def test_the_password_is_nowhere(
    scene: Scene, befalls: Callable[[Scene], None], log_format: str
) -> None:
    befalls(scene)
    config, web = scene.outside / "canary.toml", scene.outside / "web.yml"
    config.write_text(f'interval = "2s"\n{scene.config}')
    web.write_text(f"basic_auth_users: {{kim: '{HASH}', eve: '{SECRET}'}}\n")
    scene.extra |= {
        "INGEST_CANARY_CONFIG": str(config),
        "INGEST_CANARY_LOG__LEVEL": "debug",
        "INGEST_CANARY_LOG__FORMAT": log_format,
    }
    nothing_of_it(served(scene))
    for command in COMMANDS:
        done = call(scene.data_dir, *command.split(), extra=scene.extra)
        nothing_of_it(done.stdout + done.stderr, command)
    refused_at = call(scene.data_dir, "run", "--web-config", str(web), "--debug", extra=scene.extra)
    assert refused_at.returncode == 2
    nothing_of_it(refused_at.stdout + refused_at.stderr)
    archive = str(scene.data_dir / "export")
    done = call(scene.data_dir, "store", "export", archive, "--debug", extra=scene.extra)
    nothing_of_it(done.stdout + done.stderr)
    assert (done.returncode == 0) == (befalls is not store_down), done.stderr
    for path in scene.data_dir.rglob("*"):
        nothing_of_it(str(path))
        if path.is_file():
            nothing_of_it(path.read_bytes().decode("latin-1"), str(path))


def served(scene: Scene) -> str:
    """All that a daemon says and serves until what is expected has happened."""
    label, _, value = scene.expected.partition("=")
    metric = "runs_total" if label == "outcome" else "round_failures_total"
    with Daemon(scene.data_dir, "--debug", extra=scene.extra) as daemon:
        daemon.wait_for_metric(metric, 1, **{label: value})
        pages = ["/", "/metrics", "/targets/main", "/api/v1/openapi.json", "/api/v1/status"]
        below = ("", "/runs", "/changes", "/environments")
        pages += [f"/api/v1/targets/main{each}" for each in below]
        said = "".join(daemon.get(page)[1] for page in pages)
        cases = json.loads(daemon.get("/api/v1/targets/main")[1])["cases"]
        for case in cases:
            said += daemon.get(f"/api/v1/targets/main/cases/{case['id']}/points")[1]
        assert daemon.stop() == 0
        return said + daemon.log + daemon.output


def nothing_of_it(text: str, where: str = "") -> None:
    """Fails if a part of a secret is in the text."""
    for part in PARTS:
        at = text.find(part)
        assert at < 0, f"{where}: …{text[max(0, at - 200) : at + 60]}"
