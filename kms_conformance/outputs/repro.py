"""``repro/<case>.py``: each failed case as a script that sends its whole sequence again.

Made from the evidence alone: the recorded requests, what they took from earlier answers, and the expectations that did
not hold. The script needs Python and nothing else (see ``repro_runtime``); what cannot be sent again without the suite
(signed frames, material packed for an import token, requests that no client sends) it says, and ends with 2.
"""

from __future__ import annotations

import hashlib
import json
import pprint
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kms_conformance.contract import messages
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import JSON, Exchange
from kms_conformance.evidence.serialization import to_document
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import repro_runtime
from kms_conformance.outputs.files import put
from kms_conformance.system import systems

NAME = "repro"
MARK = "#!/usr/bin/env python3\n# A reproduction by kms-conformance.\n"
_LONGEST_NAME = 120
_CLEAN_UP = "clean-up"
_SENT_BY_RUNTIME = frozenset(
    {
        "user-agent",
        "correlation-id",
        "authorization",
        "accept-encoding",
        "connection",
        "host",
        "content-length",
    }
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TOKEN = re.compile(r"<([A-Za-z][\w-]*):[0-9a-f]{12}>")
_SHORTEST_ID, _DIGIT = 8, re.compile(r"\d")
_UNSENDABLE = (
    (re.compile(r"PCI request;|characters with wrapped key parts"), "its requests are frames for a crypto unit, which need the unit's place and signatures"),
    (re.compile(r"<(?:encryptedNonce|iv):"), "it packs key material for an import token (RSA-OAEP and AES-GCM), which the standard library cannot"),
    (re.compile(r"<\d+ bytes>"), "the record holds only the size of a body that it sends"),
    (re.compile(r"-----BEGIN "), "it sends a certificate that it makes itself, which the standard library cannot"),
)  # fmt: skip


def write(run: Run, directory: Path) -> Path:
    """Write a script for each failed case and return their directory, which is not there where none failed."""
    place = directory / NAME
    for old in place.glob("*.py") if place.is_dir() else ():
        if old.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            old.unlink()
    files = render(run)
    if files:
        place.mkdir(exist_ok=True)
    elif place.is_dir() and not any(place.iterdir()):
        place.rmdir()
    for name, text in files.items():
        put(place / name, text)
    return place


def render(run: Run) -> dict[str, str]:
    """Return the scripts by file name."""
    owners = _owners(run)
    return {
        file_name(case.id): _script(run, case, owners) for case in run.cases if case.verdict is Verdict.FAILED
    }


def file_name(case_id: str) -> str:
    """Return the name of a case's script: its id, with a digest where signs had to be left out."""
    plain = re.sub(r"[^\w.\-\[\]]", "_", case_id, flags=re.ASCII)
    if plain != case_id or len(plain) > _LONGEST_NAME:
        plain = f"{plain[:_LONGEST_NAME]}-{hashlib.sha256(case_id.encode()).hexdigest()[:8]}"
    return f"{plain}.py"


def _script(run: Run, case: CaseResult, owners: Mapping[str, str]) -> str:
    document = pprint.pformat(_document(run, case, owners), width=110, sort_dicts=False)
    title = json.dumps(f"{case.title}")
    return (
        f"{MARK}# Case {case.id} of run {run.meta.get('run_id', '')}.\n"
        "# Exit code: 0 the promise holds, 1 it is broken, 2 the sequence could not be sent.\n"
        "# Environment: KMS_TOKEN (or KMS_API_KEY and KMS_IAM_URL; KMS_TOKEN_<IDENTITY> for others), KMS_BASE_URL,\n"
        "# KMS_INSTANCE, and KMS_CONTROL_URL where the endpoint has the control protocol: else waits are really waited.\n"
        f"\n{_runtime()}\n\n"
        f"TITLE = {title}\n"
        f"CASE = {document}\n"
        'CASE["new_run"] = secrets.token_hex(4)\n\n'
        'if __name__ == "__main__":\n    print(TITLE)\n    sys.exit(main(CASE))\n'
    )


@cache
def _runtime() -> str:
    """Return the source of what every script needs, as one module."""
    own, rule = (
        Path(str(module.__file__))
        .read_text(encoding="utf-8")
        .partition("from __future__ import annotations\n")[2]
        for module in (repro_runtime, messages)
    )
    own = own.replace("from kms_conformance.contract.messages import says\n", "")
    return f"{own.strip()}\n\n\n{rule.replace('import re', '', 1).strip()}\n"


def _document(run: Run, case: CaseResult, owners: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that the script has to know."""
    target = run.meta.get("target", {})
    judged = [exchange for exchange in case.exchanges if exchange.notes.get("phase") != _CLEAN_UP]
    broken = {finding.exchange for finding in case.findings if finding.severity is Verdict.FAILED}
    last = max((place for place, exchange in enumerate(judged) if exchange.id in broken), default=-1)
    steps = judged[: last + 1]
    promises = {exchange.id: _promises(case, exchange) for exchange in steps}
    base = _base(steps, target)
    instance = _instance(steps)
    system = systems().get(case.contract)
    grant = system.grant if system else None
    document = {
        "id": case.id,
        "run": str(run.meta.get("run_id", "")),
        "base_url": base,
        "instance": instance,
        "grant": [grant.type, grant.member] if grant else [],
        "kept": [] if _is_fresh(target, case.contract) else [instance],
        "started": round(steps[0].started, 3) if steps else 0.0,
        "made_by_control": [],
        "cannot": _cannot(case, steps, promises, owners),
        "forms": {
            token: form
            for exchange in steps
            for token, form in json.loads(exchange.notes.get("forms", "{}")).items()
        },
    }
    if document["cannot"]:
        return {**document, "steps": [], "clean_up": []}
    return {
        **document,
        "steps": [
            _step(exchange, steps[place + 1 :], promises, base, owners)
            for place, exchange in enumerate(steps)
        ],
        "clean_up": list(_clean_up(steps, base, owners)),
    }


def _promises(case: CaseResult, exchange: Exchange) -> list[Expectation]:
    """Return the expectations of an exchange that did not hold."""
    broken = {
        (finding.requirement, finding.expected)
        for finding in case.findings
        if finding.exchange == exchange.id
        and finding.severity is Verdict.FAILED
        and "that is not a" not in finding.got
    }
    return [
        expectation
        for expectation in case.expectations
        if expectation.exchange == exchange.id
        and (expectation.requirement, expectation.description()) in broken
    ]


def _cannot(
    case: CaseResult,
    steps: Sequence[Exchange],
    promises: Mapping[str, Sequence[Expectation]],
    owners: Mapping[str, str],
) -> str:
    """Return why a sequence cannot be sent again by a script, or ``""``."""
    if not any(promises.values()):
        rules = ", ".join(dict.fromkeys(finding.requirement for finding in case.findings)) or "none"
        return (
            f"what failed is a rule of every exchange or of a schema ({rules}), which only the suite checks"
        )
    for exchange in steps:
        if exchange.notes.get("raw"):
            return "it sends a request that no client would send"
        credential = exchange.sent.headers.get("authorization", "")
        if "<" in credential and credential not in owners:
            return "it sends a token of its own making"
        whole = f"{json.dumps(exchange.sent.body)} {exchange.sent.text or ''} {json.dumps(dict(exchange.sent.headers))}"
        for pattern, why in _UNSENDABLE:
            if pattern.search(whole):
                return why
    return ""


def _step(
    exchange: Exchange,
    later: Sequence[Exchange],
    promises: Mapping[str, Sequence[Expectation]],
    base: str,
    owners: Mapping[str, str],
) -> dict[str, Any]:
    used = "\n".join(_used(one, promises.get(one.id, ())) for one in (exchange, *later))
    captures = [
        [path, value]
        for path, value in _leaves(exchange.answer.body if exchange.answer else None, "")
        if len(value) >= _SHORTEST_ID and _DIGIT.search(value) and value in used
    ]
    own = promises.get(exchange.id, ())
    succeeded = exchange.answer is not None and exchange.answer.status < 300  # noqa: PLR2004 - a success
    return {
        **_request(exchange, base, owners),
        "before": json.loads(exchange.notes.get("before", "[]")),
        "captures": captures,
        "needed": [200, 201, 202, 204] if succeeded and captures and not own else [],
        "promises": [
            [
                f"{expectation.description()} ({expectation.requirement})",
                [to_document(outcome) for outcome in expectation.outcomes],
                [
                    {"path": member.path, "check": member.check, "value": member.value}
                    for member in expectation.members
                ],
            ]
            for expectation in own
        ],
    }


def _request(exchange: Exchange, base: str, owners: Mapping[str, str]) -> dict[str, Any]:
    sent = exchange.sent
    return {
        "step": exchange.step,
        "method": sent.method,
        "target": sent.url.removeprefix(base),
        "headers": {
            name: value
            for name, value in sent.headers.items()
            if name not in _SENT_BY_RUNTIME or (name == "authorization" and value not in owners)
        },
        "token_of": owners.get(sent.headers.get("authorization", ""), ""),
        "body": sent.body if sent.text is None else None,
        "text": sent.text,
    }


def _clean_up(steps: Iterable[Exchange], base: str, owners: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Give a request for each thing that a sequence makes by POST and that a DELETE of the same path removes."""
    for exchange in steps:
        body = exchange.answer.body if exchange.answer is not None else None
        made = exchange.answer is not None and exchange.answer.status == 201  # noqa: PLR2004 - created
        match body:
            case {"resources": [{"id": str() as made_id}, *_]} if made and exchange.sent.method == "POST":
                path = exchange.sent.url.removeprefix(base).partition("?")[0]
                yield {**_request(exchange, base, owners), "method": "DELETE", "target": f"{path}/{made_id}",
                       "body": None, "text": None, "step": "clean up"}  # fmt: skip


def _used(exchange: Exchange, promises: Sequence[Expectation]) -> str:
    """Return everything of a request, and of what is expected of its answer, that may come from an earlier answer."""
    values = [member.value for expectation in promises for member in expectation.members]
    sent = exchange.sent
    headers = {name: value for name, value in sent.headers.items() if name not in _SENT_BY_RUNTIME}
    whole = json.dumps(
        [sent.url, unquote(sent.url), sent.body, sent.text, headers, values], ensure_ascii=False
    )
    return whole + exchange.notes.get("before", "")


def _leaves(body: JSON, path: str) -> Iterator[tuple[str, str]]:
    """Give path and value of each text in a document."""
    entries: Iterable[tuple[Any, JSON]] = ()
    if isinstance(body, dict):
        entries = body.items()
    elif isinstance(body, list):
        entries = enumerate(body)
    elif isinstance(body, str):
        yield path, body
    for name, value in entries:
        if "." not in str(name):
            yield from _leaves(value, f"{path}.{name}" if path else str(name))


def _owners(run: Run) -> dict[str, str]:
    """Return the identity of each credential: of what an identity sends most often it is the owner."""
    sent: dict[str, Counter[str]] = {}
    for case in run.cases:
        for exchange in case.exchanges:
            credential = exchange.sent.headers.get("authorization", "")
            if credential.startswith("Bearer <token:"):
                sent.setdefault(exchange.identity, Counter())[credential] += 1
    return {counter.most_common(1)[0][0]: identity for identity, counter in sent.items()}


def _base(steps: Sequence[Exchange], target: Mapping[str, Any]) -> str:
    urls = [target.get("base_url", "")]
    urls += [
        table["base_url"] for table in target.values() if isinstance(table, Mapping) and "base_url" in table
    ]
    servers = [
        str(url).rstrip("/") for url in urls if steps and steps[0].sent.url.startswith(str(url).rstrip("/"))
    ]
    return servers[0] if servers else str(target.get("base_url", ""))


def _instance(steps: Sequence[Exchange]) -> str:
    """Return the id that stands in most requests: the instance's."""
    instances = Counter(
        value
        for exchange in steps
        for value in set(
            _UUID.findall(
                " ".join(
                    [
                        exchange.sent.url,
                        *(text for name, text in exchange.sent.headers.items() if name != "correlation-id"),
                    ]
                )
            )
        )
    )
    return instances.most_common(1)[0][0] if instances else ""


def _is_fresh(target: Mapping[str, Any], contract: str) -> bool:
    table = target.get(contract)
    places = table if isinstance(table, Mapping) else target
    return "fresh" in {places.get("instance"), places.get("account")}
