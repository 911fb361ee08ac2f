"""A caller of Key Protect that makes its requests in another way: what every view builds on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.base import ROOT
from kms_conformance.evidence.exchange import JSON
from kms_conformance.run.answer import Answer

KEY_PATH = re.compile(r"/keys/(?P<key>[0-9a-f-]{36})(?P<rest>/.*)?")


@dataclass(frozen=True, slots=True)
class CaseRequest:
    """A request as the case makes it. ``headers`` are added; a header that is ``None`` is left out.

    ``identity`` names who asks, where it is another one than the case says.
    """

    method: str
    path: str
    body: JSON
    params: Mapping[str, Any]
    content_type: str | None
    step: str
    headers: Mapping[str, str | None] = field(default_factory=dict)
    identity: str = ""


class UnderView(KeyProtect):
    """A ``kms`` that asks in another way. ``equivalent`` are statuses of success that stand for each other."""

    view: ClassVar[str] = ""
    equivalent: ClassVar[tuple[int, ...]] = ()

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Return the request in the other way, ``None`` where the view does not apply to it."""
        raise NotImplementedError

    def request(
        self,
        method: str,
        path: str,
        body: JSON = None,
        *,
        params: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        raw: bytes | None = None,
        step: str = "",
        view: str = "",
    ) -> Answer:
        """Send a request, in the other way where the view applies to it."""
        request = CaseRequest(method, path, body, params or {}, content_type, step)
        other = None if raw is not None or self.case.cleaning else self.otherwise(request)
        if other is None:
            return super().request(
                method, path, body, params=params, content_type=content_type, raw=raw, step=step, view=view
            )
        usual = self.plain.as_identity(other.identity) if other.identity else self.plain
        if other.headers:
            usual = usual.with_headers(
                **{name.replace("-", "_"): value for name, value in other.headers.items()}
            )
        answer = usual.request(
            other.method,
            other.path,
            other.body,
            params=other.params,
            content_type=other.content_type,
            step=other.step,
            view=self.view,
        )
        self.learn(request, answer)
        usual_operation = self.case.context.contract.operation_of(method, ROOT + path) or ""
        return replace(answer, equivalent=self.equivalent, usual_operation=usual_operation)

    def learn(self, request: CaseRequest, answer: Answer) -> None:
        """Note what an answer to a changed request tells."""

    @property
    def plain(self) -> KeyProtect:
        """The same caller, asking in the usual way."""
        return KeyProtect(self.case, self._view)

    @property
    def is_usual_caller(self) -> bool:
        """Whether the request is made as the target's manager, with that identity's own token."""
        return self._view.identity == "manager" and self._view.token == ""
