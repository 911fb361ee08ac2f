"""One instance as the model has it: each step goes on from the state that a success leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kms_conformance.adapters.key_protect.model import MANAGER, Instance, Operation, Prediction, Timing, apply

START = 1_800_000_000.0
KIND = "application/vnd.ibm.kms."


def collection(kind: str, *resources: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    """Return a collection of resources."""
    count = len(resources) if total is None else total
    return {
        "metadata": {"collectionType": f"{KIND}{kind}+json", "collectionTotal": count},
        "resources": list(resources),
    }


@dataclass
class ModelledInstance:
    """The state of an instance and its clock."""

    state: Instance = field(default_factory=lambda: Instance(timing=Timing(alias=0.0, ring=0.0, expiry=0.0)))
    now: float = START

    def ask(self, name: str, key: str | None = None, **members: Any) -> tuple[Prediction, Instance]:
        """Return what an operation may get now, and the state after a success."""
        path = {**({"id": key} if key is not None else {}), **members.pop("path", {})}
        return apply(self.state, Operation(name, path=path, **members), self.now)

    def may(self, name: str, key: str | None = None, **members: Any) -> str:
        """Return what an operation may get now, as text."""
        return str(self.ask(name, key, **members)[0])

    def done(self, name: str, key: str | None = None, **members: Any) -> ModelledInstance:
        """Go on after a success; it must be allowed."""
        prediction, after = self.ask(name, key, **members)
        assert prediction.success is not None, f"{name}: {prediction}"
        return ModelledInstance(after, self.now)

    def later(self, seconds: float) -> ModelledInstance:
        """Go on after a wait."""
        return ModelledInstance(self.state, self.now + seconds)

    def key(self, **members: Any) -> ModelledInstance:
        """Go on with one more key: its id is ``key#`` and its number."""
        resource = {"type": f"{KIND}key+json", "name": "a key", "extractable": False, **members}
        return self.done("createKey", body=collection("key", resource))

    def policy(self, key: str, **members: Any) -> ModelledInstance:
        """Go on with a policy of a key."""
        return self.done(
            "putPolicy", key, body=collection("policy", {"type": f"{KIND}policy+json", **members})
        )

    def instance_policy(self, kind: str, **attributes: Any) -> ModelledInstance:
        """Go on with an enabled policy of the instance."""
        data: dict[str, Any] = {"enabled": True, **({"attributes": attributes} if attributes else {})}
        return self.done(
            "putInstancePolicy",
            body=collection("policy", {"policy_type": kind, "policy_data": data}),
            caller=MANAGER,
        )


@pytest.fixture
def modelled() -> ModelledInstance:
    """Begin with an empty instance in the page's edition."""
    return ModelledInstance()
