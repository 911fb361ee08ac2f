"""A client of Key Protect's reference without sockets, which writes down what it sees without what is random."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from kms_reference.key_protect.app import KeyProtect

KEY = "application/vnd.ibm.kms.key+json"
POLICY = "application/vnd.ibm.kms.policy+json"
REGISTRATION = "application/vnd.ibm.kms.registration_input+json"
ADAPTER = "application/vnd.ibm.kms.kmip_adapter+json"
DUAL = {"policy_type": "dualAuthDelete", "policy_data": {"enabled": False}}
KEPT = b"K" * 32
SHORT = "QUJDREVG"
CRN = "crn:v1:bluemix:public:cloud-object-storage:global:a%2Fb:00000000-0000-0000-0000-000000000000:bucket:x"
RANDOM = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|IBMid-\w{10}|[A-Za-z0-9+/]{30,}=*"
    r'|(?<="nonce": ")[^"]{16}'
    r"|eyJ[\w.-]+|\d{4}-\d\d-\d\d[T ][0-9:]+(?=[.Z ])"
)
DAY = 86_400


def frame(kind: str, *resources: Any, total: int | None = None) -> dict[str, Any]:
    """Return the frame of a request body."""
    count = len(resources) if total is None else total
    return {"metadata": {"collectionType": kind, "collectionTotal": count}, "resources": list(resources)}


@dataclass
class Probe:
    """Calls an application and writes down what it sees, without what is random."""

    app: KeyProtect
    tokens: dict[str, str]
    seen: list[Any] = field(default_factory=list)
    instance: str = field(default_factory=lambda: str(uuid4()))

    async def send(
        self, method: str, path: str, body: Any = None, who: str = "manager", **headers: str | None
    ) -> tuple[int, Any]:
        """Send one request; status and parsed body."""
        target, _, query = path.partition("?")
        prefix = "" if target.startswith("/_control") else "/api/v2"
        fields = {"authorization": f"Bearer {self.tokens[who]}", "bluemix-instance": self.instance}
        fields |= {"correlation-id": "c", **{k.replace("_", "-"): v for k, v in headers.items()}}  # type: ignore[dict-item]  # None removes
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw}

        async def collect(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "raw_path": (prefix + target).encode(),
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in fields.items() if v is not None],
            "client": ("127.0.0.1", 9),
        }
        await self.app(scope, receive, collect)
        content = b"".join(message.get("body", b"") for message in sent[1:])
        head = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        if head.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        text = RANDOM.sub("_", content.decode())
        head.pop("content-length", None)
        if head.get("correlation-id") not in (None, "c"):
            head["correlation-id"] = "other"
        self.seen.append((method, RANDOM.sub("_", path), who, sent[0]["status"], head, len(sent), text))
        try:
            return sent[0]["status"], json.loads(content)
        except ValueError:
            return sent[0]["status"], {}

    async def create(self, **members: Any) -> str:
        """Create a key; its id, or one that does not exist."""
        resource = {"type": KEY, "name": "probe-key", "extractable": False, **members}
        _, body = await self.send("POST", "/keys", frame(KEY, resource))
        resources = body.get("resources") if isinstance(body, dict) else None
        first = resources[0] if isinstance(resources, list) and resources else {}
        # Where a defect hides the id, the instance knows it.
        known = list(self.app.server_state.instance(self.instance).keys)
        return str(first.get("id") or (known[-1] if known else uuid4()))

    async def act(self, key: str, action: str, body: Any = None, **options: Any) -> Any:
        """POST an action."""
        return (await self.send("POST", f"/keys/{key}/actions/{action}", body, **options))[1]

    async def wait(self, seconds: float) -> None:
        """Move the clock."""
        await self.send("POST", f"/_control/instances/{self.instance}/clock", {"advance_seconds": seconds})

    async def fault(self, **body: Any) -> None:
        """Switch a fault on."""
        await self.send("POST", f"/_control/instances/{self.instance}/faults", body)

    def fresh(self) -> None:
        """Go on in a new instance."""
        self.instance = str(uuid4())
