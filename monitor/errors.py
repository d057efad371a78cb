"""Everything that ingest-canary raises on purpose.

    CanaryError
    ├── ConfigurationError        the user's input is wrong
    ├── EmbeddedServerError       the private PostgreSQL could not be started
    ├── PortInUse                 the web server cannot listen where it should
    ├── StoreError                the store did not do what it should
    │   ├── StoreUnavailable      it cannot be reached or written now; later it may
    │   ├── StoreRefused          it is not ours, or of another version: nothing was changed
    │   └── StoreRejected         it will never take this run or file
    │       └── StoreConflict     what is there contradicts it, as another writer's row
    └── TargetError               a target could not be measured
        ├── TargetUnavailable     unavailable      no connection, or the server is gone
        ├── AuthenticationFailed  authentication   the server refused the credentials
        ├── TargetRefused         refused          we decline to work there (safety contract)
        ├── LockHeld              refused          another run holds the target's lock
        ├── LockLost              lock_lost        the session that held the lock is gone
        ├── RoundTimeout          timeout          a round or a run passed its deadline
        ├── RowsMissing           rows_missing     fewer rows arrived than were sent
        ├── ServerError           server_error     the server rejected a statement
        └── BudgetExceeded        budget           a limit on table bytes or WAL is reached

The middle column is ``TargetError.reason``, one of ``model.FailureReason``. Messages are sentences
for the user: what is wrong, where, what to do. They never contain a secret.
"""

from __future__ import annotations

from typing import ClassVar


class CanaryError(Exception):
    """Base of all; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(CanaryError):
    """A setting, argument, file or plug-in is wrong; the message names it."""

    exit_code = 2


class EmbeddedServerError(CanaryError):
    """The private PostgreSQL could not be found, initialised or started."""

    exit_code = 2


class PortInUse(CanaryError):
    """The address that the web server should listen on is not to be had."""

    exit_code = 2


class StoreError(CanaryError):
    """The store did not do what it should."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, read or written now; trying again later may help."""


class StoreRefused(StoreError):
    """What is there is not our store, or one of another version; nothing was changed."""

    exit_code = 2


class StoreRejected(StoreError):
    """The store will never take this: a run it cannot hold, a file that is no export."""

    exit_code = 2


class StoreConflict(StoreRejected):
    """What is there contradicts what should be written; looking again may help."""


class TargetError(CanaryError):
    """A target could not be measured; ``reason`` is one of ``model.FailureReason``."""

    reason: ClassVar[str]


class TargetUnavailable(TargetError):
    """No connection could be made, or the server went away."""

    reason = "unavailable"


class AuthenticationFailed(TargetError):
    """The server refused role, password or certificate."""

    reason = "authentication"


class TargetRefused(TargetError):
    """The safety contract forbids working on this target; nothing was changed there."""

    exit_code = 2
    reason = "refused"


class LockHeld(TargetError):
    """Another run holds the target's lock; the message names its session."""

    exit_code = 2
    reason = "refused"


class LockLost(TargetError):
    """The session that held the lock ended while the server lives on."""

    reason = "lock_lost"


class RoundTimeout(TargetError):
    """A round or a run passed its deadline."""

    reason = "timeout"


class RowsMissing(TargetError):
    """After a round the table held another number of rows than were sent."""

    reason = "rows_missing"


class ServerError(TargetError):
    """The server rejected a statement of ours."""

    reason = "server_error"


class BudgetExceeded(TargetError):
    """A bound on table bytes or on WAL per day is reached."""

    reason = "budget"
