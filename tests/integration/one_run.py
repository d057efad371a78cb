"""A run in a process of its own, to be killed: ``python -m tests.integration.one_run DSN ROWS``.

With ``unchecked`` as third argument the server is told not to look after its client, as on
platforms where it cannot: a statement then goes on after its client's death.
"""

from __future__ import annotations

import sys

from monitor.canary import connection
from tests.integration.helpers import run_once

if __name__ == "__main__":
    if sys.argv[3:] == ["unchecked"]:
        connection.BOUNDS = {**connection.BOUNDS, "client_connection_check_interval": "0"}
    run = run_once(sys.argv[1], rows=int(sys.argv[2]), strategies=["asyncpg_unnest"])
    print(run.outcome)
