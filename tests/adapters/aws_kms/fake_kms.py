"""A few operations of AWS KMS on a socket: enough for the adapter, and no reference of anything."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = "123456789012"


class Keys:
    """What the server knows: keys by id, aliases by name, and every request with its headers."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.url = ""

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """Return status and document of an answer."""
        name = str(asked.get("KeyId") or asked.get("TargetKeyId"))
        key = self.keys.get(name)
        match operation:
            case "CreateKey":
                return 200, {"KeyMetadata": self.create(str(asked.get("Description", "")))}
            case "ListKeys":
                return 200, {
                    "Keys": [{"KeyId": key, "KeyArn": "arn:x"} for key in self.keys],
                    "Truncated": False,
                }
            case "CreateAlias" if key:
                self.aliases[str(asked["AliasName"])] = name
                return 200, None
            case "DeleteAlias":
                target = self.aliases.pop(str(asked["AliasName"]), None)
                return (200, None) if target else _refusal("NotFoundException")
        if key is None:
            return _refusal("NotFoundException")
        if operation == "ScheduleKeyDeletion":
            if key["KeyState"] == "PendingDeletion":
                return _refusal("KMSInvalidStateException")
            key["KeyState"] = "PendingDeletion"
            return 200, {"KeyId": key["Arn"], "DeletionDate": 1.0}
        return 200, {"KeyMetadata": key}

    def create(self, description: str) -> dict[str, Any]:
        """Make a key."""
        key_id = str(uuid.uuid4())
        arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{key_id}"
        self.keys[key_id] = {"KeyId": key_id, "Arn": arn, "Description": description, "KeyState": "Enabled"}
        return self.keys[key_id]


def _refusal(code: str) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": code, "message": "no"}


@contextmanager
def serving() -> Iterator[Keys]:
    """Yield the server's knowledge while it runs."""
    keys = Keys()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = json.loads(content or b"{}")
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            headers = {name.lower(): value for name, value in self.headers.items()}
            keys.seen.append((operation, asked, {**headers, "body": content.decode()}))
            status, document = keys.answer(operation, asked)
            reply = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    keys.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
