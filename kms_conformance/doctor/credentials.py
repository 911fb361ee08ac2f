"""What the tokens of a target say of themselves, before the first request: form, end, account."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kms_conformance.doctor.findings import Finding, Level
from kms_conformance.errors import ExitCode
from kms_conformance.outputs.text import duration_text
from kms_conformance.redaction.redactor import Secret
from kms_conformance.target.target import Target
from kms_conformance.transport.claims import account_of, claims_of, end_of, looks_like_jwt

SOON = 600.0
"""A token that ends within so many seconds may end within the run."""


def of_given_tokens(target: Target, seconds: float) -> Iterator[Finding]:
    """Yield what is wrong with the tokens that the target itself holds; ``seconds`` is how long a run takes at least.

    A token that is fetched with an API key is renewed in time, so its end does not matter.
    """
    for name, identity in target.identities.items():
        if identity.token is not None and name not in target.system.lapsed:
            yield from _of_token(name, identity.token, seconds)


def _of_token(name: str, token: Secret, seconds: float) -> Iterator[Finding]:
    text = str(token)
    if looks_like_jwt(text) and claims_of(text) is None:
        yield Finding(
            "token-malformed",
            Level.PROBLEM,
            f"The token of the identity {name!r} cannot be used",
            "it begins like a JSON Web Token (eyJ...), and it is none of three parts",
            "copy the token anew and whole, without line breaks",
            ExitCode.USAGE,
        )
        return
    end = end_of(text)
    if end is None:
        return
    left = end - time.time()
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(end))
    if left <= 0:
        yield Finding(
            "token-expired",
            Level.PROBLEM,
            f"The token of the identity {name!r} cannot be used",
            f"it has expired at {at}, {duration_text(-left)} ago",
            "fetch a new one, or give an API key (api_key_env), with which the suite fetches tokens itself",
        )
    elif left < max(SOON, seconds):
        yield Finding(
            "token-expires-soon",
            Level.WARNING,
            f"The token of the identity {name!r} may end within the run",
            f"it expires at {at}, in {duration_text(left)}",
            "fetch a new one, or give an API key (api_key_env), with which the suite fetches tokens itself",
        )


def of_accounts(tokens: dict[str, str]) -> Iterator[Finding]:
    """Yield where identities belong to different accounts; ``tokens`` by name of identity."""
    accounts: dict[str, list[str]] = {}
    for name, token in tokens.items():
        if account := account_of(token):
            accounts.setdefault(account, []).append(name)
    if len(accounts) > 1:
        fewest = min(accounts.values(), key=len)
        yield Finding(
            "account",
            Level.WARNING,
            f"{', '.join(fewest)} and the other identities belong to different accounts",
            "an identity of another account is refused everything on this instance",
            "give identities of the account that owns the instance",
        )
