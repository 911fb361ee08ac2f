"""Tokens: fetched with an API key, kept until shortly before they end, never shown."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from kms_conformance.errors import MissingSecretError, TokenRefusedError
from kms_conformance.evidence import steady_clock
from kms_conformance.redaction.redactor import Redactor, Secret
from kms_conformance.transport.body import LARGEST_TOKEN, UnfitAnswerError, json_document, read_body
from kms_conformance.transport.claims import claims_of
from kms_conformance.transport.outage import delay, is_away, trouble_of

if TYPE_CHECKING:
    from kms_conformance.system import Grant
    from kms_conformance.target.target import Target

_EARLY = 60.0
_FOREVER = 1e9
_CODE = re.compile(r"[A-Za-z]{2,8}[0-9]{3,5}[A-Za-z]?|[a-z_]{4,24}")
_ROLE_CLAIMS = ("roles", "role")
_ROLE = re.compile(r"[A-Za-z][\w.:/-]{0,99}", re.ASCII)
_TOKEN = re.compile(r"[\x20-\x7e]+")


class _NoAnswerError(Exception):
    """Nobody has answered, or a gateway; ``why`` says it in words that quote no secret."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Tokens:
    """Gives the current token of an identity; safe between threads."""

    def __init__(
        self,
        target: Target,
        http: httpx.Client,
        redactor: Redactor,
        take_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._target, self._http, self._redactor, self._take_turn = target, http, redactor, take_turn
        self.patience = 0.0
        self.is_gone: Callable[[float], None] = lambda _: None
        self._held: dict[str, tuple[Secret, float]] = {}
        # One lock each: whoever waits for one identity's token keeps nobody from using another's.
        self._locks = {name: threading.Lock() for name in target.identities}

    def of(self, name: str) -> Secret:
        """Return the token of an identity; raise :class:`MissingSecretError` or :class:`TokenRefusedError`."""
        identity = self._target.identities.get(name)
        if identity is None:
            raise MissingSecretError(name, "the target does not name this identity")
        if identity.token is not None:
            return identity.token
        with self._locks[name]:
            token, until = self._held.get(name, (Secret(""), 0.0))
            if steady_clock.now() >= until:
                with self._redactor.under_way.stretch():
                    token, until = self._fetch(name, identity.api_key or Secret(""))
                self._held[name] = (token, until)
        return token

    def held(self, name: str) -> list[str]:
        """Return the tokens that are known, that of an identity first (``""`` where it has none yet); none is fetched."""
        fetched = {identity: str(token) for identity, (token, _) in tuple(self._held.items())}
        given = {
            identity: str(about.token)
            for identity, about in self._target.identities.items()
            if about.token is not None
        }
        tokens = {**fetched, **given}
        return [tokens.pop(name, ""), *tokens.values()]

    def forget(self) -> None:
        """Forget the tokens that were fetched: an issuer that was away may not know them any more."""
        self._held.clear()

    def roles(self) -> dict[str, tuple[str, ...]]:
        """Return what the tokens in use tell of the roles of their identities; nothing else of them leaves this place."""
        held = {name: token for name, (token, _) in tuple(self._held.items())}
        given = {
            name: identity.token
            for name, identity in self._target.identities.items()
            if identity.token is not None
        }
        return {name: roles_in(token) for name, token in {**given, **held}.items()}

    def _fetch(self, name: str, api_key: Secret) -> tuple[Secret, float]:
        url, grant = self._target.iam_url, self._target.system.grant
        if grant is None:
            raise MissingSecretError(name, f"{self._target.contract} takes tokens, not API keys")
        begun, until = steady_clock.now(), time.monotonic() + self.patience
        for tried in itertools.count(1):
            try:
                return self._asked(name, url, grant, api_key)
            except _NoAnswerError as error:
                if time.monotonic() + delay(tried) > until:
                    if self.patience:
                        self.is_gone(begun)
                    self.patience = 0.0  # whoever asks next need not wait as long again
                    raise TokenRefusedError(name, url, error.why) from None
            time.sleep(delay(tried))
        raise AssertionError

    def _asked(self, name: str, url: str, grant: Grant, api_key: Secret) -> tuple[Secret, float]:
        """Ask once; raise :class:`_NoAnswerError` where no answer came, or one of a gateway."""
        self._take_turn()
        try:
            with self._http.stream(
                "POST",
                url,
                data={"grant_type": grant.type, grant.member: str(api_key)},
                headers={"accept": "application/json"},
            ) as answer:
                content = read_body(answer, LARGEST_TOKEN)
        except UnfitAnswerError as error:
            raise TokenRefusedError(name, url, str(error)) from None
        except httpx.HTTPError as error:
            raise _NoAnswerError(f"no answer: {trouble_of(error)}") from None
        document = json_document(content, lenient=True, as_it_is=True)
        token = document.get("access_token") if isinstance(document, dict) else None
        if answer.status_code != HTTPStatus.OK or not isinstance(token, str) or not token:
            code = document.get("errorCode") if isinstance(document, dict) else None
            # A code is shown, other text of an issuer is not: it has just been told an API key.
            shown = isinstance(code, str) and _CODE.fullmatch(code) and self._redactor.scrub(code) == code
            seen = (
                "status 200 without an access_token"
                if answer.status_code == HTTPStatus.OK
                else f"status {answer.status_code}"
            )
            seen += f" {code}" if shown else ""
            raise (
                _NoAnswerError(seen) if is_away(answer.status_code) else TokenRefusedError(name, url, seen)
            ) from None
        self._redactor.remember(token, "token")
        if not _TOKEN.fullmatch(token):
            raise TokenRefusedError(name, url, "its token holds signs that no header can carry") from None
        life = document.get("expires_in")
        is_lifetime = isinstance(life, int | float) and not isinstance(life, bool) and 0 <= life < _FOREVER
        seconds = float(life) if is_lifetime else _EARLY
        # A token that is already at its end is still used once: a case may be about just that.
        return Secret(token), steady_clock.now() + max(seconds - _EARLY, 5.0)


def roles_in(token: str) -> tuple[str, ...]:
    """Return the roles that a JSON Web Token (RFC 7519) names; none where it names none or is none."""
    claims = claims_of(token) or {}
    values = [claims.get(name) for name in _ROLE_CLAIMS]
    names = [
        name
        for value in values
        for name in ([value] if isinstance(value, str) else value if isinstance(value, list | dict) else ())
    ]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and _ROLE.fullmatch(name)))
