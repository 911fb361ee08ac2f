"""Workers of many machines, by Dask distributed (the extra ``campaign``): a scheduler that others have started."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kms_conformance.campaign.errors import SchedulerError
from kms_conformance.campaign.plan import Task
from kms_conformance.campaign.work import run_task
from kms_conformance.errors import MissingExtraError

_PATIENCE = 15
"""Seconds within which the scheduler has to answer."""


class DaskWorkers:
    """The workers of a scheduler at ``tcp://HOST:PORT`` or ``tls://HOST:PORT``; ``certificates`` is a folder of ``campaign certs``.

    The scheduler sees tasks: names, addresses and options, no secret. Raises :class:`SchedulerError` and
    :class:`MissingExtraError`.
    """

    def __init__(self, address: str, place: str, state: str, certificates: Path | None = None) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError:
            raise MissingExtraError("--scheduler", "distributed", "campaign") from None
        self._address, self._place, self._state = address, place, state
        try:
            self._client: Any = distributed.Client(
                address,
                timeout=_PATIENCE,
                security=_security(distributed, certificates),
                set_as_default=False,
                name="kms-conformance-campaign",
            )
        except (OSError, ValueError, TimeoutError) as error:
            raise SchedulerError(address, _short(error)) from None
        # A task is never pure: another attempt has to run again. Lost ones come back here, which counts them.
        self._pool: Any = self._client.get_executor(pure=False)

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Hand over a task."""
        future: Future[dict[str, Any]] = self._pool.submit(
            run_task, task.document(), self._place, self._state
        )
        return future

    def number(self) -> int:
        """Return how many tasks the present workers can have under way at once."""
        with suppress(OSError, RuntimeError, ValueError):
            return sum(self._client.nthreads().values())
        return 0

    def why_gone(self) -> str:
        """Return why the scheduler can give no workers any more, ``""`` as long as it is there."""
        status = self._client.status
        return "" if status == "running" else f"the connection is {status}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave the scheduler and its workers as they were; a task of ours that is under way is given up."""
        with suppress(OSError, RuntimeError, TimeoutError):
            self._client.close(timeout=_PATIENCE)


def _security(distributed: Any, certificates: Path | None) -> Any:
    if certificates is None:
        return None
    return distributed.Security(
        require_encryption=True,
        tls_ca_file=str(certificates / "ca.pem"),
        tls_client_cert=str(certificates / "client.pem"),
        tls_client_key=str(certificates / "client.key"),
    )


def _short(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return first[0][:200] if first else type(error).__name__
