"""A proxy in front of the reference that repeats every secret it has ever seen, in each way a careless server may.

It knows more secrets than the suite is told: what the server answers is a secret too. After a run, none of them may
stand in any output, in any of the spellings of :func:`spellings`.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

SECRET_MEMBERS = {
    "payload", "plaintext", "ciphertext", "encryptedNonce", "nonce", "iv", "access_token", "refresh_token",
}  # fmt: skip
# What cases send on purpose to be refused; reports show it.
HARMLESS = {"q+x3Qi;BVb8bPj$vVD", "no base64 at all!", "not even base64!"}
SHORTEST = 16
_DROPPED = {"host", "accept-encoding", "connection", "transfer-encoding", "content-length"}


def spellings(value: str) -> set[str]:
    """Return what a search for a leaked secret looks for."""
    plain = value.encode()
    forms = {value, quote(value, safe=""), plain.hex(), plain.hex().upper(), base64.b64encode(plain).decode()}
    forms |= {base64.urlsafe_b64encode(plain).decode(), value.rstrip("="), value[: len(value) // 2 + 8]}
    forms |= {value[::-1], base64.b64encode(value.encode("utf-16-le")).decode()}
    forms |= {"".join(f"\\u{ord(sign):04x}" for sign in value), quote(value, safe="/=")}
    forms |= {"".join(f"%{byte:02X}" for byte in plain), "".join(f"&#{ord(sign)};" for sign in value)}
    forms |= {plain.hex(":"), plain.hex(" "), "\n".join(re.findall(".{1,64}", value))}
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        raw = b""
    if len(raw) >= SHORTEST:
        forms |= {raw.hex(), raw.hex().upper(), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return {form for form in forms if len(form) >= SHORTEST and not form.startswith("=")}


Answer = tuple[int, list[tuple[str, str]], bytes]


class Leaky:
    """What the proxy has seen: the secrets in order, and how it repeats them."""

    def __init__(self, upstream: str) -> None:
        self.upstream, self.seen, self.html = urlsplit(upstream), {}, False
        self.unruly = self.answered = 0
        """Every so manieth answer breaks HTTP or its own form (0: none), and how many there have been."""
        self.url = self.target = ""
        self._lock = threading.Lock()
        self._random = random.Random(7)

    def learn(self, *values: str) -> None:
        """Take in secrets."""
        with self._lock:
            self.seen.update(
                dict.fromkeys(value for value in values if len(value) >= SHORTEST and value not in HARMLESS)
            )

    def learn_from(self, document: Any) -> None:
        """Take in the secrets of a JSON document."""
        if isinstance(document, dict):
            for name, value in document.items():
                if isinstance(value, str) and name in SECRET_MEMBERS:
                    self.learn(value)
                self.learn_from(value)
        elif isinstance(document, list):
            for value in document:
                self.learn_from(value)

    def some(self) -> list[str]:
        """Return the latest secrets and some old ones."""
        with self._lock:
            values = list(self.seen)
        return values[-2:] + self._random.sample(values, min(1, len(values)))

    def spoil(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a document that repeats secrets everywhere."""
        chosen = self._random.sample(
            forms := sorted(form for value in self.some() for form in spellings(value)), min(8, len(forms))
        )
        glued = [f"xy{form}zz" for form in chosen] + [f"key={form}&more" for form in chosen]
        document["unheardOf"] = chosen
        document["deep"] = {"deeper": [{"leak": form} for form in glued]}
        document[chosen[0]] = "as a name"
        document[f"name-{chosen[-1][:20]}"] = chosen[-1]
        document["moreInfo"] = " ".join(chosen + glued)
        metadata = document.get("metadata")
        if isinstance(metadata, dict):
            metadata["description"] = f"we were sent {glued[0]}, {glued[-1]}"
        for resource in document.get("resources") or ():
            if isinstance(resource, dict):
                resource["tags"] = [*glued[:3], chosen[1]]
                for reason in resource.get("reasons") or ():
                    reason["message"] = f"{reason.get('message')}: {glued[1]} {chosen[-1]}"
                if "errorMsg" in resource:
                    resource["errorMsg"] += f" ({glued[2]})"
        return document

    def headers(self) -> Iterator[tuple[str, str]]:
        """Yield headers that repeat secrets, in value and in name."""
        forms = [
            form for value in self.some() for form in spellings(value) if form.isascii() and "\n" not in form
        ]
        yield "x-debug", forms[0]
        yield "server", f"kms/{forms[-1]}"
        yield "retry-after", forms[1]
        # A header's name has fewer letters than base64; hexadecimal digits fit.
        yield f"x-{next((form for form in forms if form.isalnum()), 'none')[:200]}", "1"

    def next_way(self) -> int:
        """Return the number of the way in which the next answer is broken, -1 where it is not."""
        with self._lock:
            self.answered += 1
            number, rest = divmod(self.answered, self.unruly or self.answered + 1)
        return -1 if rest or not self.unruly else number


@contextmanager
def leaking(upstream: str) -> Iterator[Leaky]:
    """Serve the proxy on a free loopback port until the block ends."""
    leaky = Leaky(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle_any(self) -> None:
            """Pass a request on, and spoil the answer."""
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            way = leaky.next_way() if self.path.startswith("/api") else -1
            status, headers, body = _spoiled(leaky, self, content, is_read=way < 0)
            if way >= 0:
                self.wfile.write(_broken(way, leaky.some()[0].encode(), status, body))
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD" and status != 204:
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    leaky.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield leaky
    finally:
        server.shutdown()
        server.server_close()


def _spoiled(
    leaky: Leaky, handler: BaseHTTPRequestHandler, content: bytes, *, is_read: bool = True
) -> Answer:
    """Pass a request on, take in its secrets and those of the answer, and return the answer with secrets in it.

    What the answer itself holds becomes known to nobody where it is not read.
    """
    issuer = "token" in handler.path and not handler.path.startswith("/api")
    if issuer:
        leaky.learn(dict(parse_qsl(content.decode())).get("apikey", ""))
    else:
        leaky.learn_from(_json(content))
    status, headers, body = _forward(leaky.upstream.netloc, handler, content)
    document = _json(body)
    if is_read:
        leaky.learn_from(document)
    if handler.path.startswith("/_control"):
        return status, headers, body
    if isinstance(document, dict):
        document = {**document, "leak": leaky.some()} if issuer else leaky.spoil(document)
        body = json.dumps(document).encode()
    if leaky.html and status >= 400 and body:
        body, headers = _page(leaky), [("content-type", "text/html")]
    return status, [*headers, *leaky.headers()], body


def _forward(netloc: str, handler: BaseHTTPRequestHandler, content: bytes) -> Answer:
    connection = http.client.HTTPConnection(netloc, timeout=30)
    try:
        kept = {name: value for name, value in handler.headers.items() if name.lower() not in _DROPPED}
        connection.request(handler.command, handler.path, content or None, kept)
        answer = connection.getresponse()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _DROPPED]
        return answer.status, headers, answer.read()
    finally:
        connection.close()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _page(leaky: Leaky) -> bytes:
    forms = [form for value in leaky.some() for form in spellings(value)]
    return f"<!doctype html><html><body>{'<p>'.join(forms)}</body></html>".encode()


def _broken(way: int, secret: bytes, status: int, body: bytes) -> bytes:
    """Return an answer that tells a secret where HTTP or a form is broken."""
    half = len(secret) // 2
    start = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\n" % status
    sized = b"content-length: %d\r\n\r\n%s"
    packed = gzip.compress(b'{"errorMsg": "' + secret + b'"}')
    chunked = b"transfer-encoding: chunked\r\n"
    cut = b'{"errorMsg": "' + secret
    ways = (
        b"HTTP/1.1 %d %s\r\n" % (status, secret) + sized % (len(body), body),
        b"HTTP/1.1 " + secret + b"\r\n\r\n",
        secret + b"\r\n\r\n",
        start + b"x-folded: " + secret[:half] + b"\r\n " + secret[half:] + b"\r\n" + sized % (len(body), body),
        start + secret + b"\r\n\r\n",
        start + secret + b": 1\r\n" + sized % (2, b"{}"),
        start + chunked + b"\r\n" + secret + b"\r\n{}\r\n0\r\n\r\n",
        start + chunked + b"\r\n2;" + secret + b"\r\n{}\r\n0\r\n" + b"x-trailer: " + secret + b"\r\n\r\n",
        start + b"content-encoding: " + secret + b"\r\n" + sized % (2, b"{}"),
        start + b"content-encoding: gzip\r\n" + sized % (len(packed), packed),
        start + b"content-encoding: gzip\r\n" + sized % (len(packed), packed[:12] + secret),
        start + b"content-length: " + secret + b"\r\n\r\n{}",
        start + sized % (len(cut), cut),
        start + sized % (len(body) + 99, body),
        b"HTTP/1.1 302 Found\r\nlocation: /" + secret + b"\r\n" + sized % (0, b""),
        b"HTTP/1.1 %d OK\r\ncontent-type: text/%s; charset=%s\r\n" % (status, secret, secret)
        + sized % (len(cut), cut),
        b"HTTP/1.1 %d OK\r\ncontent-type: application/octet-stream\r\n" % status
        + sized % (len(cut) + 2, b"\xff\xfe" + cut),
    )  # fmt: skip
    return ways[way % len(ways)]
