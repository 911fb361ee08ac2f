"""Any operation of the contract as a request; what it makes is journalled, what it removes is forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.base import ROOT, step
from kms_conformance.laws.asking import Ask
from kms_conformance.run.adapter import was_refused
from kms_conformance.run.answer import Answer

_PARAMETER = re.compile(r"\{(\w+)\}")
_ELSEWHERE = "bluemix-instance"
_MADE = {
    "createKeyAlias": "alias",
    "createKeyRing": "ring",
    "createRegistration": "registration",
    "createKmipAdapter": "kmip_adapter",
    "addKmipClientCertificate": "kmip_certificate",
}
"""Operations that make a thing which a DELETE of its own path removes, and the journal's word for it."""
_GONE = (
    "deleteKeyAlias",
    "deleteKeyRing",
    "deleteRegistration",
    "deleteKmipAdapter",
    "deleteKmipClientCertificate",
)


class Asking(KeyProtect):
    """Sends requests by the names of their operations."""

    @property
    def alone(self) -> bool:
        """Whether nobody but this case uses the instance."""
        return self.case.context.target.fresh

    def ask(self, ask: Ask) -> Answer:
        """Send a request; booleans of the query go as the API writes them."""
        known = self.case.context.contract.operations[ask.operation]
        path = self._path(known.path, ask.path)
        view = self._seen(ask)
        request: dict[str, Any] = {
            "method": known.method,
            "path": path,
            "body": ask.body,
            "params": {name: _text(value) for name, value in ask.query.items()},
            "step": ask.step,
        }
        if ask.operation in {"createKey", "createKeyWithPoliciesOverrides"}:
            return view.create_key(ask.body, path=path, params=request["params"])
        if ask.operation in _MADE:
            return view._make(ask, request)
        if ask.operation == "putInstancePolicy":
            resources = ask.body.get("resources", ()) if isinstance(ask.body, dict) else ()
            self._note_policies([str(one["policy_type"]) for one in resources])
        if ask.operation == "restoreKey" or ask.query.get("action") == "restore":
            return view._restored(ask, request)  # noqa: SLF001 - our own kind
        answer = view.request(**request)
        # A deletion elsewhere says nothing of the thing that we have made here.
        if answer.ok and _ELSEWHERE not in ask.headers and known.method == "DELETE":
            named = ask.usual_path or ask.path
            self.forget(self._path(known.path, named) if ask.operation in _GONE else str(named.get("id", "")))
        return answer

    @staticmethod
    def _path(template: str, parameters: Mapping[str, str]) -> str:
        return _PARAMETER.sub(lambda name: step(parameters[name[1]]), template).removeprefix(ROOT)

    def _seen(self, ask: Ask) -> Self:
        view = self.as_identity(ask.identity) if ask.identity else self
        headers = tuple((name, str(value)) for name, value in ask.headers.items())
        return type(self)(self.case, replace(view._view, headers=view._view.headers + headers))  # noqa: SLF001 - our own kind

    def _make(self, ask: Ask, request: dict[str, Any]) -> Answer:
        """Make something that its own path removes."""
        known = self.case.context.contract.operations[ask.operation]
        path = self._path(known.path, ask.usual_path or ask.path)
        kind, name = _MADE[ask.operation], path.rsplit("/", 1)[-1]
        if kind.startswith("kmip"):
            resources = ask.body.get("resources") if isinstance(ask.body, dict) else None
            name = str(resources[0].get("name")) if resources else self.short_name("kmip")
            path = f"{path}/{step(name)}"
        remover = "service" if kind == "registration" else "manager"
        return self._create(kind, name, path, request, remover=remover)

    def _restored(self, ask: Ask, request: dict[str, Any]) -> Answer:
        """Restore a key, which the case's end deletes again."""
        key = str((ask.usual_path or ask.path)["id"])
        row = self.intend("key", "", ref=key)
        answer = self.request(**request)
        if answer.ok:
            self._made_key(row, key)
        elif was_refused(answer):
            self.strike(row)
        return answer


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
