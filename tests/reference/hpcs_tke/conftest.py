"""A TKE service in this process, and the client half that drives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.forms import join_parts
from kms_conformance.adapters.hpcs_tke.signing import Administrator, EcAdministrator, Importer
from kms_reference.defects import rules_of
from kms_reference.hpcs_tke import TkeService, create_app

INSTANCE = "7f1d1c4e-0000-4000-8000-000000000000"
THRESHOLD_BITS = 0x00300000
ZERO_1SIGN = 0x40


@dataclass(frozen=True)
class Caller:
    """An identity as the endpoint sees it."""

    name: str
    roles: tuple[str, ...]
    iam_id: str = "IBMid-1"
    kind: str = "user"


CALLERS = {
    "Bearer manager": Caller("manager", ("Manager",)),
    "Bearer reader": Caller("reader", ("Reader",)),
    "Bearer outsider": Caller("outsider", ()),
}


def identify(header: str | None) -> Caller | None:
    """Know three tokens; everything else is missing, garbage or expired."""
    return CALLERS.get(header or "")


class Http:
    """Sends requests to an application in this process; an exception inside it is raised here."""

    def __init__(self, app: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tke.test")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request and wait for the answer."""
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.request("POST", path, **options)

    def close(self) -> None:
        """Close the client, if it is not closed."""
        if not self._client.is_closed:
            self._runner.run(self._client.aclose())
            self._runner.close()


@dataclass
class Unit:
    """One crypto unit seen through HTTP."""

    http: Http
    instance: str
    entry: dict[str, Any]
    sent: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Return the path of the unit."""
        return f"/v1/tke/{self.instance}/hsms/{self.entry['hsm_id']}"

    @property
    def place(self) -> tuple[int, int]:
        """Module and domain index."""
        parts = self.entry["location"].strip("[]").split("].[")
        return int(parts[2]), int(parts[3])

    def post(self, body: Any, token: str | None = "Bearer manager") -> Any:
        """Post a request member."""
        headers = {"authorization": token} if token else {}
        return self.http.post(self.path, json={"request": body}, headers=headers)

    def raw(self, request: str) -> wire.Answer:
        """Send an HTPRequest, read the HTPResponse."""
        self.sent.append(request)
        reply = self.post(request)
        assert reply.status_code == 200, reply.text
        return wire.read_response(reply.json()["response"])

    def send(self, payload: bytes) -> wire.Answer:
        """Send a message to the unit."""
        module, domain = self.place
        return self.raw(wire.htp_request(module, wire.Header(domain).encode(payload)))

    def query(self, command: int = wire.QUERY_ATTRIBUTES, data: bytes = b"") -> wire.Answer:
        """Send an unsigned query."""
        return self.send(wire.query_request(command, self.place[1], data))

    def attributes(self) -> dict[int, int]:
        """Read the attributes."""
        return wire.read_attributes(self.query().output)

    def registers(self) -> wire.Registers:
        """Read both registers."""
        return wire.read_registers(self.send(wire.info_request(self.place[1])).output)

    def block(self, command: int, data: bytes = b"", *, ahead: int = 1, **changes: bytes) -> bytes:
        """Encode a block for this unit as it now is; ``ahead`` is how far the counter moves."""
        last_answer = self.query()
        counter = (int.from_bytes(last_answer.counter, "big") + ahead).to_bytes(16, "big")
        fields = {"domain": last_answer.domain, "module": last_answer.module, "counter": counter, **changes}
        return wire.admin_block(command, fields["domain"], fields["module"], fields["counter"], data)

    def command(self, command: int, data: bytes = b"", by: tuple[Administrator, ...] = ()) -> wire.Answer:
        """Send a signed command."""
        block = self.block(command, data)
        return self.send(wire.admin_request(self.place[1], block, b"".join(a.sign(block) for a in by)))

    def add(self, administrator: Administrator, by: tuple[Administrator, ...] = ()) -> wire.Answer:
        """Install an administrator."""
        return self.command(wire.ADD_ADMINISTRATOR, administrator.certificate(), by)

    def set(self, by: tuple[Administrator, ...], **values: int) -> wire.Answer:
        """Set attributes by name: signature, revocation, permissions, mode, standards."""
        names = ("signature", "revocation", "permissions", "mode", "standards")
        listed = {names.index(name) + 1: value for name, value in values.items()}
        return self.command(wire.SET_ATTRIBUTES, wire.attribute_list(listed), by)

    def leave_imprint(
        self, administrators: list[EcAdministrator], signature: int = 1, **changes: int
    ) -> None:
        """Install two administrators and leave imprint mode, every register permission on unless changed."""
        by = tuple(administrators[:2])
        assert all(self.add(administrator).succeeded for administrator in by)
        wanted = {"permissions": self.attributes()[3] | 0xF | ZERO_1SIGN, "revocation": 1, **changes}
        answer = self.set(by[:signature], signature=signature, **wanted)
        assert answer.succeeded, answer.pair

    def load_key(self, by: Administrator) -> bytes:
        """Make a current master key the long way; answer it."""
        key = self.import_key(by, bytes(range(32)))
        pattern = self.registers().new or b""
        assert self.command(wire.COMMIT_KEY, pattern, (by,)).succeeded
        assert self.command(wire.FINALIZE_KEY, pattern, (by,)).succeeded
        return key

    def import_key(self, by: Administrator, *parts: bytes, kind: int = 3) -> bytes:
        """Send key parts under a fresh importer key; answer the key that they make."""
        importer = Importer(self.command(wire.GENERATE_IMPORTER, wire.word(kind), (by,)).output)
        answer = self.send_parts([self.part(importer.seal(part), by) for part in parts])
        assert answer.succeeded, answer.pair
        return join_parts(*parts)

    def part(self, recipient: bytes, *by: Administrator) -> bytes:
        """Encode one signed key part request for the next command."""
        block = self.block(wire.IMPORT_KEY, recipient)
        return wire.admin_request(self.place[1], block, b"".join(a.sign(block) for a in by))

    def send_parts(self, parts: list[bytes]) -> wire.Answer:
        """Send part requests in their unsigned envelope."""
        return self.command(wire.IMPORT_KEY, b"".join(parts))

    def state(self) -> tuple[Any, ...]:
        """Everything that a refusal must leave alone."""
        return (
            self.query(),
            self.query(wire.QUERY_ADMINISTRATORS).output,
            self.query(wire.QUERY_CONTROL_POINTS).output,
            self.registers(),
        )


@dataclass
class Context:
    """A service, its client, one instance."""

    service: TkeService
    http: Http
    instance: str = INSTANCE

    def units(self, member: str = "hsms") -> list[Unit]:
        """List the units of one kind."""
        listed = self.http.get(f"/v1/tke/{self.instance}/hsms", headers={"authorization": "Bearer manager"})
        return [Unit(self.http, self.instance, entry) for entry in listed.json()[member]]


@pytest.fixture(scope="session")
def administrators() -> list[EcAdministrator]:
    """Nine administrators, one more than fit."""
    return [EcAdministrator(f"administrator {number}") for number in range(9)]


@pytest.fixture
def make_context() -> Iterator[Callable[..., Context]]:
    """Make contexts with defects."""
    open_clients: list[Http] = []

    def make(*defects: str) -> Context:
        service = TkeService(identify, rules=rules_of(defects=defects))
        service.provision(INSTANCE)
        client = Http(create_app(service))
        open_clients.append(client)
        return Context(service, client)

    yield make
    for client in open_clients:
        client.close()


@pytest.fixture
def context(make_context: Callable[..., Context]) -> Context:
    """Make a context without defects."""
    return make_context()


@pytest.fixture
def unit(context: Context) -> Unit:
    """Find a unit in imprint mode."""
    return context.units()[0]


@pytest.fixture
def operational(unit: Unit, administrators: list[EcAdministrator]) -> Unit:
    """Prepare a unit with two administrators, thresholds 1 and 1, every register permission on."""
    unit.leave_imprint(administrators)
    return unit
