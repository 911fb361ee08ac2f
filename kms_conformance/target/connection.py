"""How connections to a target are made: whom they trust, who they are, and by which proxy they go."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kms_conformance.errors import BadValueError
from kms_conformance.redaction.redactor import Secret
from kms_conformance.target.identity import VARIABLE
from kms_conformance.target.urls import checked_url, is_loopback

_FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """TLS and proxy. ``ca_file``, ``cert_file`` and ``key_file`` are in PEM form; ``insecure`` holds for loopback only.

    ``proxy`` is the URL of an HTTP proxy, ``""`` for none; it is never used for this machine.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False
    proxy: str = ""
    proxy_user: str = ""
    proxy_password: Secret = Secret("")  # noqa: RUF009 - a text does not change

    def proxy_to(self, host: str) -> tuple[str, int] | None:
        """Return host and port of the proxy by which a host is reached, ``None`` where it is reached directly."""
        if not self.proxy or is_loopback(f"//{host if ':' not in host else f'[{host}]'}"):
            return None
        url = urlsplit(self.proxy)
        return url.hostname or "", url.port or 8080

    @property
    def proxy_authorization(self) -> str:
        """The credentials for the proxy as its header has them (RFC 7617), ``""`` where it needs none."""
        if not self.proxy_user:
            return ""
        pair = f"{self.proxy_user}:{self.proxy_password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def secrets(self) -> dict[str, str]:
        """Return what no output may show, with a label each."""
        secrets = {str(self.proxy_password): "proxy_password"}
        if self.proxy_authorization:
            secrets[self.proxy_authorization.partition(" ")[2]] = "proxy_authorization"
        return {value: label for value, label in secrets.items() if value}

    def document(self) -> dict[str, Any]:
        """Return the tables of the target with a literal password, for a worker's pipe and nothing else."""
        tls = {
            name: value
            for name, value in (
                ("ca_file", self.ca_file),
                ("cert_file", self.cert_file),
                ("key_file", self.key_file),
                ("insecure", self.insecure),
            )
            if value
        }
        proxy: dict[str, Any] = {}
        if self.proxy:
            proxy = {"url": self.proxy}
        if self.proxy_user:
            proxy |= {"user": self.proxy_user, "password": str(self.proxy_password)}
        return {**({"tls": tls} if tls else {}), **({"proxy": proxy} if proxy else {})}


def connection_settings(
    document: Mapping[str, Any], environ: Mapping[str, str], urls: tuple[str, ...]
) -> ConnectionSettings:
    """Return the settings that the tables ``[tls]`` and ``[proxy]`` of a target name; ``urls`` are where it is.

    Raises :class:`BadValueError`.
    """
    tls, proxy = _table(document, "tls"), _table(document, "proxy")
    ca_file, cert_file, key_file = (_file(f"tls.{name}", tls.get(name)) for name in _FILES)
    if key_file and not cert_file:
        raise BadValueError("tls.key_file", key_file, "it belongs to no certificate", "add tls.cert_file.")
    insecure = tls.get("insecure", False)
    if not isinstance(insecure, bool):
        raise BadValueError("tls.insecure", str(insecure), "it must be true or false", "write true or false.")
    if insecure and not all(is_loopback(url) for url in urls if url):
        raise BadValueError(
            "tls.insecure",
            "true",
            "only loopback addresses may go unchecked",
            "name the authority by --ca-file FILE.",
        )
    if not proxy:
        return ConnectionSettings(ca_file, cert_file, key_file, insecure)
    url = checked_url("proxy.url", proxy.get("url", ""))
    if urlsplit(url).scheme != "http":
        raise BadValueError(
            "proxy.url", url, "the way to a proxy is plain HTTP", "write http://proxy.example.com:8080."
        )
    user = proxy.get("user", "")
    password = _password(proxy, environ)
    if not isinstance(user, str) or ":" in user or bool(user) != bool(password):
        raise BadValueError(
            "proxy.user",
            user
            if isinstance(user, str) and ":" not in user
            else "…",  # a password may stand behind the colon
            "user and password go together",
            "give proxy.user and proxy.password_env.",
        )
    return ConnectionSettings(ca_file, cert_file, key_file, insecure, url, user, password)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        raise BadValueError(name, "…", "it must be a table", f"write it as [{name}].")
    return table


def _file(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not Path(value).is_file():
        # Somebody may have put what is in the file where its name belongs.
        shown = "…" if not isinstance(value, str) or "-----" in value or "\n" in value else value
        raise BadValueError(name, shown, "there is no such file", "give the name of a file in PEM form.")
    return value


def _password(proxy: Mapping[str, Any], environ: Mapping[str, str]) -> Secret:
    if "password_env" in proxy:
        variable = str(proxy["password_env"])
        value = environ.get(variable, "")
        if not value:
            raise BadValueError(
                "proxy.password_env",
                # Somebody may have put the password itself where its variable belongs.
                variable if VARIABLE.fullmatch(variable) else "…",
                "the variable is not set",
                "set the variable.",
            )
        return Secret(value)
    if "password_file" in proxy:
        path = _file("proxy.password_file", proxy["password_file"])
        try:
            return Secret(Path(path).read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            advice = "give a text file that you may read."
            raise BadValueError("proxy.password_file", path, "it cannot be read", advice) from None
    password = Secret(proxy.get("password", ""))
    if password and environ and not is_loopback(str(proxy["url"])):
        advice = "give proxy.password_env or proxy.password_file."
        raise BadValueError(
            "proxy.password", "…", "a literal one is accepted for loopback proxies only", advice
        )
    return password
