"""An IKS service in this process, and a client of one region and resource group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from kms_reference.defects import rules_of
from kms_reference.iks import IksService, create_app

ACCOUNT = "account-1"


@dataclass(frozen=True)
class Caller:
    """An identity as the endpoint sees it."""

    name: str
    roles: tuple[str, ...]
    iam_id: str
    kind: str = "user"


CALLERS = {
    "Bearer manager": Caller("manager", ("Manager",), "IBMid-1"),
    "Bearer approver": Caller("approver", ("Manager",), "IBMid-2"),
    "Bearer reader": Caller("reader", ("Reader",), "IBMid-3"),
    "Bearer outsider": Caller("outsider", (), "IBMid-4"),
}


def identify(header: str | None) -> Caller | None:
    """Know four tokens; everything else is missing, garbage or expired."""
    return CALLERS.get(header or "")


class Http:
    """Sends requests to an application in this process; an exception inside it is raised here."""

    def __init__(self, app: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://iks.test")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request and wait for the answer."""
        return self._runner.run(self._client.request(method, path, **options))

    def close(self) -> None:
        """Close the client."""
        self._runner.run(self._client.aclose())
        self._runner.close()


@dataclass(frozen=True)
class Iks:
    """The API as seen from one account, region and resource group by one identity."""

    http: Http
    token: str | None = "Bearer manager"
    account: str = ACCOUNT
    region: str = "us-south"
    group: str = "g1"

    def at(self, **changes: Any) -> Iks:
        """Return the same API seen from elsewhere."""
        return replace(self, **changes)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with the headers of the scope."""
        headers = {
            "x-region": self.region,
            "x-auth-resource-group": self.group,
            "x-auth-resource-account": self.account,
            **({"authorization": self.token} if self.token else {}),
            **options.pop("headers", {}),
        }
        return self.http.request(method, f"/global/v1{path}", headers=headers, **options)

    def set(self, user: str = "1111111_a", key: str = "key-a") -> httpx.Response:
        """Set manual credentials."""
        named = {"x-auth-softlayer-username": user, "x-auth-softlayer-apikey": key}
        return self.call("POST", "/credentials", headers=named)

    def unset(self) -> httpx.Response:
        """Unset manual credentials."""
        return self.call("DELETE", "/credentials")

    def get(self) -> httpx.Response:
        """Get manual credentials."""
        return self.call("GET", "/credentials")

    def reset(self) -> httpx.Response:
        """Reset the API key."""
        return self.call("POST", "/keys")

    def permissions(self) -> dict[str, Any]:
        """List what the effective credential lacks: names by group and necessity."""
        listed = self.call("GET", "/infra-permissions").json()
        return {
            f"{group} {need}": held["missingPermissions"]
            for group, needs in listed.items()
            if isinstance(needs, dict)
            for need, held in needs.items()
            if held["insufficient"]
        }

    def stored(self) -> bool:
        """Tell whether manual credentials are stored."""
        return self.call("GET", "/user-config").json()["storedIaasCredentials"]

    def create(self, **body: Any) -> httpx.Response:
        """Create a cluster."""
        return self.call("POST", "/clusters", json={"name": "c", **body})

    def cluster(self) -> str:
        """Create a cluster with one worker; return its id."""
        made = self.create()
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def owner(self, cluster: str) -> str:
        """Return the name of the key owner."""
        return self.call("GET", f"/logging/{cluster}/clusterkeyowner").json()["name"]

    def workers(self, cluster: str) -> list[dict[str, Any]]:
        """List the workers."""
        return self.call("GET", f"/clusters/{cluster}/workers").json()

    def add(self, cluster: str) -> httpx.Response:
        """Add a worker: the infrastructure operation of these tests."""
        return self.call("POST", f"/clusters/{cluster}/workers", json={})

    def fault(self, fault: str, **wanted: Any) -> httpx.Response:
        """Do something to the world behind the API."""
        body = {"fault": fault, "region": self.region, "resource_group": self.group, **wanted}
        return self.http.request("POST", f"/_control/iks/instances/{self.account}/faults", json=body)


@pytest.fixture
def make_iks() -> Iterator[Callable[..., Iks]]:
    """Make services with defects."""
    clients: list[Http] = []

    def make(*defects: str) -> Iks:
        clients.append(Http(create_app(IksService(identify, rules=rules_of(defects=defects)))))
        return Iks(clients[-1])

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def iks(make_iks: Callable[..., Iks]) -> Iks:
    """Make a service without defects."""
    return make_iks()
