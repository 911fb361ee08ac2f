"""The control protocol beyond the clock: what an adapter asks of the world behind an endpoint. It is no evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kms_conformance.run.outcomes import NotTested

if TYPE_CHECKING:
    from kms_conformance.run.context import Context

_FIRST_ERROR = 400


def ask(context: Context, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    """Send a request below the control URL.

    Raises :class:`NotTested` when there is no control protocol or it does not offer this, and what
    :meth:`Client.control` raises.
    """
    target = context.target
    if not target.control_url:
        raise NotTested("add [control] url to the target")
    url = f"{target.control_url}{path}"
    status = context.client.control(method, url, body).status_code
    if status >= _FIRST_ERROR:
        raise NotTested(f"needs {method} {path} of the control protocol, which answers {status}")
