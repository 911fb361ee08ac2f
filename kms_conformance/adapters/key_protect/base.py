"""One instance, seen by one identity: the raw request, who sends it, time, names, and the journal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Self
from urllib.parse import quote

from kms_conformance.evidence.exchange import JSON
from kms_conformance.evidence.octets import has_octets, octets_in_words
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.adapter import GONE, SystemAdapter
from kms_conformance.run.answer import Answer
from kms_conformance.run.case import CaseRun
from kms_conformance.transport.client import Request

ROOT = "/api/v2"
TYPE = "application/vnd.ibm.kms."
LONGEST_NAME = 90
FAULT = 500


@dataclass(frozen=True, slots=True)
class View:
    """Who asks and how: the identity, a literal authorization value, more headers, another way in.

    ``base_url`` is another URL of the same service; ``address`` the source address that the control protocol is
    asked to pretend.
    """

    identity: str = "manager"
    token: str | None = ""
    headers: tuple[tuple[str, str | None], ...] = ()
    base_url: str = ""
    address: str = ""


class Base(SystemAdapter):
    """What every group of requests builds on."""

    def __init__(self, case: CaseRun, view: View = View()) -> None:
        super().__init__(case)
        self._view = view

    # --- who asks -------------------------------------------------------------------------------------------------

    def as_identity(self, name: str) -> Self:
        """Return the same instance as seen by another identity of the target."""
        return type(self)(self.case, replace(self._view, identity=name, token=""))

    def current_token(self) -> Secret:
        """Return the token of the present identity."""
        return self.case.context.client.tokens.of(self._view.identity)

    def with_authorization(self, value: str | None) -> Self:
        """Return the same instance with a literal ``authorization`` header, or without one."""
        return type(self)(self.case, replace(self._view, token=value))

    def with_headers(self, **headers: str | None) -> Self:
        """Return the same instance with more headers (``_`` for ``-``); ``None`` leaves one out."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return type(self)(self.case, replace(self._view, headers=self._view.headers + named))

    def in_ring(self, ring: str) -> Self:
        """Return the same instance with the key-ring header."""
        return self.with_headers(x_kms_key_ring=ring)

    def preferring(self, representation: str) -> Self:
        """Return the same instance with ``prefer: return=minimal`` or ``return=representation``."""
        return self.with_headers(prefer=f"return={representation}")

    # --- the raw request ------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: JSON = None,
        *,
        params: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        raw: bytes | None = None,
        step: str = "",
        view: str = "",
    ) -> Answer:
        """Send any request below ``/api/v2``; ``view`` names the other way of asking in which it is made."""
        headers: dict[str, str] = {"bluemix-instance": self.case.instance}
        if body is not None or raw is not None:
            headers["content-type"] = content_type or "application/json"
        for name, value in self._view.headers:
            headers.pop(name, None)
            if value is not None:
                headers[name] = value
        operation = self.case.context.contract.operation_of(method, ROOT + path)
        with self._seen_from(self._view.address):
            return self.case.send(
                Request(
                    method=method,
                    path=ROOT + path,
                    headers=headers,
                    params=params or {},
                    body=body,
                    raw=raw,
                    identity=self._view.identity,
                    token=self._view.token,
                    operation=operation,
                    step=step or operation or f"{method} {path}",
                    base_url=self._view.base_url,
                    view=view,
                )
            )

    def at_once(self, request: Callable[[Any], Answer], *things: Any) -> list[Answer]:
        """Send one request for each thing, all at the same moment; return the answers, successes first."""
        answers = self.case.at_once([partial(request, thing) for thing in things])
        return sorted(answers, key=lambda answer: not answer.ok)

    def _seen_from(self, address: str) -> AbstractContextManager[None]:
        """Let the endpoint take ``address`` for the caller's; only a target with faults can (see ``network``)."""
        assert not address
        return nullcontext()

    # --- time -----------------------------------------------------------------------------------------------------

    def wait(self, seconds: float, why: str, *, within: float | None = None) -> None:
        """Let time pass; the only way to wait. ``within``: how long what comes next holds (see :meth:`CaseRun.wait`)."""
        self.case.wait(seconds, why, within=within)

    def later(self, seconds: float) -> str:
        """Return the moment ``seconds`` from now on the instance's clock, as the API writes dates."""
        return (self.case.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    # --- names ----------------------------------------------------------------------------------------------------

    def name(self, what: str = "key") -> str:
        """Return a new name under the suite's prefix, unique to run and case."""
        run, case = self.case.context.run, self.case.info.id
        # A case's parameter may be a secret's text, by which no name is cut into pieces.
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", case.rsplit(".", 1)[-1])
        stem = f"kmsct-{run}-{what}-{plain}"
        # Three digits, so that no name is the beginning of another one and a search finds one key.
        return f"{stem[: LONGEST_NAME - 12]}-{self.name_mark}{len(self.case.exchanges):03d}"

    @property
    def name_mark(self) -> str:
        """What every name of :meth:`name` has in it, and no name of another case.

        Cases of one name, in different files, may be under way on one instance at the same moment.
        """
        return hashlib.sha256(self.case.info.id.encode()).hexdigest()[:6]

    def short_name(self, what: str) -> str:
        """Return a name of at most 40 letters, digits and hyphens: for aliases, rings, adapters, certificates."""
        run = re.sub(r"[^A-Za-z0-9]", "", self.case.context.run)[:8]
        case = hashlib.sha256(f"{self.case.context.run} {self.case.info.id}".encode()).hexdigest()[:8]
        return f"kmsct-{run}-{what[:8]}-{case}-{len(self.case.exchanges)}"

    def key_material(self, size: int = 32) -> Secret:
        """Return ``size`` random bytes in base64; 16, 24 or 32 make an AES key."""
        return self.case.random_secret(size)

    def of_octets(self, number: int, text: str) -> str:
        """Return a text in base64 itself if it has so many octets, and else words for that: what is expected of a secret.

        A record does not show a secret, but its size where a request holds it: a case sends it before it looks.
        """
        words = octets_in_words(number)
        return text if has_octets(text, words) else words

    def harmless(self, value: str) -> str:
        """Declare a value harmless although it travels in a secret member: reports show it in clear."""
        return self.case.context.redactor.allow(value)

    # --- the journal ----------------------------------------------------------------------------------------------

    def _create(
        self, kind: str, name: str, path: str, request: Mapping[str, Any], *, remover: str = "manager"
    ) -> Answer:
        """Send the request that makes a thing which ``DELETE path`` removes, journalled before it leaves.

        ``request`` holds the arguments of :meth:`request`; ``remover`` is the identity that may remove the thing.
        """
        return self.creates(
            kind,
            name,
            lambda: self.request(**request),
            ref=path,
            known=path,
            remove=lambda ref: self._remove(ref, remover),
        )

    def _delete(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Remove what :meth:`_create` has made."""
        answer = self.request("DELETE", path, params=params)
        if answer.ok or answer.status in GONE:
            self.forget(path)
        return answer

    def _remove(self, path: str, remover: str) -> None:
        type(self)(self.case).as_identity(remover)._delete(path)  # noqa: SLF001 - our own kind


class Escaped(str):
    """A step of a path that has its escapes already, more of them than it needs."""

    __slots__ = ()

    @classmethod
    def of(cls, name: str) -> Self:
        """Return a name with each hyphen escaped, which stands for the same name."""
        return cls(quote(name, safe="").replace("-", "%2D"))


def step(value: object) -> str:
    """Return a value as one step of a path."""
    return str(value) if isinstance(value, Escaped) else quote(str(value), safe="")


def given(**members: Any) -> dict[str, Any] | None:
    """Return the members that are not ``None``; no body at all when none is."""
    return {name: value for name, value in members.items() if value is not None} or None


def chosen(**params: Any) -> dict[str, Any]:
    """Return the query parameters that are not ``None``; booleans as the API writes them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }


def collection(kind: str, *resources: Mapping[str, Any], total: int | None = None) -> dict[str, Any]:
    """Return a request body: resources in their frame, with the right total unless another is given."""
    counted = len(resources) if total is None else total
    return {"metadata": {"collectionType": kind, "collectionTotal": counted}, "resources": list(resources)}
