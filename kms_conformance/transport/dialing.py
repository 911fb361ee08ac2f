"""Opens connections, by a proxy where the target has one."""

from __future__ import annotations

import socket
import time

from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport.body import LARGEST_HEAD

DIRECT = ConnectionSettings()


class ProxyError(OSError):
    """The proxy does not let the connection through."""


def dial(host: str, port: int, settings: ConnectionSettings, seconds: float, *, tls: bool) -> socket.socket:
    """Return a connection to a server, or to its proxy where the request itself names the server.

    Raises :class:`OSError`, of which :class:`ProxyError` says what a proxy has answered.
    """
    proxy = settings.proxy_to(host)
    if proxy is None:
        return socket.create_connection((host, port), seconds)
    until = time.monotonic() + seconds
    line = socket.create_connection(proxy, seconds)
    if not tls:
        return line
    try:
        line.settimeout(max(until - time.monotonic(), 0.001))
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        head = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}"]
        if settings.proxy_authorization:
            head.append(f"proxy-authorization: {settings.proxy_authorization}")
        line.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
        _demand_tunnel(line, until)
    except BaseException:
        line.close()
        raise
    return line


def _demand_tunnel(line: socket.socket, until: float) -> None:
    """Read the proxy's answer, byte by byte: what comes after it is the server's."""
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        line.settimeout(max(until - time.monotonic(), 0.001))
        byte = line.recv(1)
        if not byte or len(answer) > LARGEST_HEAD:
            raise ProxyError("the proxy gave no answer that is HTTP")
        answer += byte
    status = answer.split(b" ", 2)[1:2]
    if status != [b"200"]:
        code = status[0].decode("latin-1")[:3] if status else "nothing"
        raise ProxyError(f"the proxy answered {code}" + (": it wants credentials" if code == "407" else ""))
