"""Any operation of the contract as a request; what it makes is journalled, what it removes is forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.base import ROOT, step
from kms_conformance.laws.request import OperationRequest
from kms_conformance.run.adapter import was_refused
from kms_conformance.run.answer import Answer

_PARAMETER = re.compile(r"\{(\w+)\}")
_ELSEWHERE = "bluemix-instance"
_MADE = {
    "createKeyAlias": "alias",
    "createKeyRing": "ring",
    "createRegistration": "registration",
    "replaceRegistration": "registration",
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


class KeyProtectOperations(KeyProtect):
    """Sends requests by the names of their operations."""

    @property
    def alone(self) -> bool:
        """Whether nobody but this case uses the instance."""
        return self.case.context.target.fresh

    def send_request(self, request: OperationRequest) -> Answer:
        """Send a request; booleans of the query go as the API writes them."""
        operation = self.case.context.contract.operations[request.operation]
        path = self._path(operation.path, request.path)
        view = self._seen(request)
        arguments: dict[str, Any] = {
            "method": operation.method,
            "path": path,
            "body": request.body,
            "params": {name: _text(value) for name, value in request.query.items()},
            "step": request.step,
        }
        if request.operation in {"createKey", "createKeyWithPoliciesOverrides"}:
            return view.create_key(request.body, path=path, params=arguments["params"])
        if request.operation in _MADE:
            return view._make(request, arguments)
        if request.operation == "putInstancePolicy":
            resources = request.body.get("resources", ()) if isinstance(request.body, dict) else ()
            self._note_policies([str(one["policy_type"]) for one in resources])
        if request.operation == "restoreKey" or request.query.get("action") == "restore":
            return view._restored(request, arguments)  # noqa: SLF001 - our own kind
        answer = view.request(**arguments)
        # A deletion elsewhere says nothing of the thing that we have made here.
        if answer.ok and _ELSEWHERE not in request.headers and operation.method == "DELETE":
            named = request.usual_path or request.path
            self.forget(
                self._path(operation.path, named) if request.operation in _GONE else str(named.get("id", ""))
            )
        return answer

    @staticmethod
    def _path(template: str, parameters: Mapping[str, str]) -> str:
        return _PARAMETER.sub(lambda name: step(parameters[name[1]]), template).removeprefix(ROOT)

    def _seen(self, request: OperationRequest) -> Self:
        view = self.as_identity(request.identity) if request.identity else self
        headers = tuple((name, str(value)) for name, value in request.headers.items())
        return type(self)(self.case, replace(view._view, headers=view._view.headers + headers))  # noqa: SLF001 - our own kind

    def _make(self, request: OperationRequest, arguments: dict[str, Any]) -> Answer:
        """Make something that its own path removes."""
        operation = self.case.context.contract.operations[request.operation]
        path = self._path(operation.path, request.usual_path or request.path)
        kind, name = _MADE[request.operation], path.rsplit("/", 1)[-1]
        if kind.startswith("kmip"):
            resources = request.body.get("resources") if isinstance(request.body, dict) else None
            name = str(resources[0].get("name")) if resources else self.short_name("kmip")
            path = f"{path}/{step(name)}"
        remover = "service" if kind == "registration" else "manager"
        return self._create(kind, name, path, arguments, remover=remover)

    def _restored(self, request: OperationRequest, arguments: dict[str, Any]) -> Answer:
        """Restore a key, which the case's end deletes again."""
        key = str((request.usual_path or request.path)["id"])
        row = self.intend("key", "", ref=key)
        answer = self.request(**arguments)
        if answer.ok:
            self._made_key(row, key)
        elif was_refused(answer):
            self.strike(row)
        return answer


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
