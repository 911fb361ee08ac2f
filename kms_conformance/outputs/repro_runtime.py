"""What a reproduction needs to send a recorded sequence again: pasted into each script, standard library only."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timedelta
from typing import Any

from kms_conformance.contract.messages import says

Answer = tuple[int, dict[str, str], Any, str]
"""Status (0: none came), headers in lower case, document, and everything as text."""
HOLDS, BROKEN, COULD_NOT_RUN = 0, 1, 2
MISSING = object()
FIRST_ERROR = 400


class CouldNotRunError(Exception):
    """The sequence cannot be sent here; the text says why."""


class Reproduction:
    """Sends the requests of a case again; what differs from run to run is made anew or taken from the answers."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.base = os.environ.get("KMS_BASE_URL", case["base_url"]).rstrip("/")
        self.control = os.environ.get("KMS_CONTROL_URL", "").rstrip("/")
        captured = {value for step in case["steps"] for _, value in step["captures"]}
        longest_first = sorted(captured, key=len, reverse=True)
        self.variable = re.compile("|".join([*map(re.escape, longest_first), VARIABLE.pattern]))
        self.values: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.ahead = time.time() - case["started"]
        instance = os.environ.get("KMS_INSTANCE", "")
        if instance and case["instance"]:
            self.values[case["instance"]] = instance

    def run(self) -> int:
        """Send every request and return the exit code."""
        broken = []
        try:
            for step in self.case["steps"]:
                for what, *how in step["before"]:
                    self.between(what, how)
                answer = self.send(step)
                status, body = answer[0], answer[2]
                print(f"{status} {step['method']} {step['step']}")
                for sentence, outcomes, members in step["promises"]:
                    wrong = self.mismatch(answer, outcomes, members)
                    if wrong:
                        print(f"  expected {sentence}\n  got {wrong}")
                        broken.append(sentence)
                # Only now: what an answer is held against is of the answers before it.
                for path, recorded in step["captures"]:
                    value = pick(body, path)
                    if isinstance(value, str):
                        self.values[recorded] = value
                if step["needed"] and status not in step["needed"]:
                    raise CouldNotRunError(
                        f"{step['step']} was answered by {status}, which the sequence needs to be {step['needed']}"
                    )
        finally:
            self.clean_up()
        print("the promise is broken" if broken else "the promise holds")
        return BROKEN if broken else HOLDS

    def between(self, what: str, how: list[Any]) -> None:
        """Wait, or ask the control protocol for what the case asked for."""
        if what == "wait" and not self.control:
            print(f"waiting {how[0]:g} s")
            time.sleep(how[0])
        elif what == "wait":
            instance = self.values.get(self.case["instance"], self.case["instance"])
            self.ask("POST", f"{self.control}/instances/{instance}/clock", {"advance_seconds": how[0]})
        elif not self.control:
            raise CouldNotRunError("it needs the control protocol: set KMS_CONTROL_URL")
        else:
            method, path, body = how
            answer = self.ask(method, self.control + self.text(path), self.document(body))
            if (
                isinstance(answer, dict)
                and isinstance(answer.get("id"), str)
                and self.case["made_by_control"]
            ):
                self.values[self.case["made_by_control"].pop(0)] = answer["id"]

    def ask(self, method: str, url: str, body: Any) -> Any:
        """Send a request of the control protocol and return its document."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
        try:
            with OPENER.open(request, timeout=60) as answer:
                content = answer.read()
                return json.loads(content) if content else None
        except (urllib.error.URLError, ValueError, OSError) as error:
            raise CouldNotRunError(f"the control protocol at {url} answers {error}") from None

    def send(self, step: dict[str, Any]) -> Answer:
        """Send a request; return status, headers, document and text of the answer, status 0 where none came."""
        headers = {name: self.text(value) for name, value in step["headers"].items()}
        headers["user-agent"] = "kms-conformance-repro"
        headers.setdefault("correlation-id", str(uuid.uuid4()))
        if step["token_of"]:
            headers["authorization"] = f"Bearer {self.token(step['token_of'])}"
        data = None
        if step["text"] is not None:
            data = self.text(step["text"]).encode("utf-8", "surrogatepass")
        elif step["body"] is not None:
            data = json.dumps(self.document(step["body"]), ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "surrogatepass"
            )
        url = self.base + self.text(step["target"])
        request = urllib.request.Request(url, data, headers, method=step["method"])
        if data is not None and "content-type" not in step["headers"]:
            request.add_unredirected_header("Content-type", "")
        try:
            with OPENER.open(request, timeout=60) as answer:
                return read(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            return read(refused.code, refused.headers, refused.read())
        except (OSError, ValueError, urllib.error.URLError) as error:
            return 0, {}, None, str(error)

    def token(self, identity: str) -> str:
        """Return the token of an identity, from the environment or from the token issuer."""
        stem = "KMS" if identity == "manager" else f"KMS_{identity.upper()}"
        if identity not in self.tokens:
            token, key, iam = (
                os.environ.get(name) for name in (f"{stem}_TOKEN", f"{stem}_API_KEY", "KMS_IAM_URL")
            )
            token = token or os.environ.get(f"KMS_TOKEN_{identity.upper()}")
            if not token and key and iam and self.case["grant"]:
                kind, member = self.case["grant"]
                form = {"grant_type": kind, member: key}
                try:
                    with OPENER.open(iam, urllib.parse.urlencode(form).encode(), timeout=60) as answer:
                        token = json.loads(answer.read())["access_token"]
                except (OSError, ValueError, KeyError) as error:
                    raise CouldNotRunError(f"{iam} gives no token for {identity} ({error})") from None
            if not token:
                raise CouldNotRunError(
                    f"set KMS_TOKEN_{identity.upper()}, or {stem}_API_KEY and KMS_IAM_URL"
                    if identity != "manager"
                    else "set KMS_TOKEN, or KMS_API_KEY and KMS_IAM_URL"
                )
            self.tokens[identity] = token
        return self.tokens[identity]

    def text(self, recorded: str) -> str:
        """Return a recorded text with every value of that run replaced by one of this run."""
        return self.variable.sub(lambda match: self.value(match[0]), recorded) if recorded else recorded

    def value(self, recorded: str) -> str:
        """Return what stands for a recorded value here; one that no answer has given is made anew."""
        if recorded not in self.values:
            self.values[recorded] = self.made(recorded)
        return self.values[recorded]

    def made(self, recorded: str) -> str:
        """Make a value of the same form."""
        if recorded in self.case["kept"] or not VARIABLE.fullmatch(recorded):
            return recorded
        if recorded.startswith("<"):
            kind, _, size = self.case["forms"].get(recorded, "base64 32").partition(" ")
            if kind == "base64":
                return base64.b64encode(secrets.token_bytes(int(size))).decode()
            return secrets.token_urlsafe(int(size))[: int(size)]
        if recorded.startswith("kmsct-"):
            return recorded.replace(self.case["run"], self.case["new_run"])
        if recorded[4:5] == "-" and "T" in recorded:
            moment = datetime.fromisoformat(recorded) + timedelta(seconds=self.ahead)
            fraction = "milliseconds" if "." in recorded else "seconds"
            return moment.isoformat(timespec=fraction).replace("+00:00", "Z")
        return str(uuid.uuid4())

    def document(self, recorded: Any) -> Any:
        """Return a recorded document with the values of this run."""
        if isinstance(recorded, dict):
            return {name: self.document(value) for name, value in recorded.items()}
        if isinstance(recorded, list):
            return [self.document(value) for value in recorded]
        return self.text(recorded) if isinstance(recorded, str) else recorded

    def mismatch(self, answer: Answer, outcomes: list[dict[str, Any]], members: list[dict[str, Any]]) -> str:
        """Return what deviates from an expectation, or ``""``."""
        status, headers, body, text = answer
        if not status:
            return text or "no answer"
        complaints = [complaint(outcome, status, body) for outcome in outcomes]
        if complaints and all(complaints):
            return next(
                (
                    one
                    for one, outcome in zip(complaints, outcomes, strict=True)
                    if status in outcome["statuses"]
                ),
                complaints[0],
            )
        for member in members:
            wrong = self.member(member, headers, body, text)
            if wrong:
                return f"{status} with {wrong}"
        return ""

    def member(self, member: dict[str, Any], headers: dict[str, str], body: Any, text: str) -> str:
        """Return what deviates from a statement about a member, or ``""``."""
        check, path, wanted = member["check"], member["path"], self.document(member["value"])
        if check == "header":
            value: Any = headers.get(path, MISSING)
            return (
                ""
                if value is not MISSING and wanted in (None, value)
                else f"header {path} = {shown_value(value)}"
            )
        if check == "hides":
            return f"{path} in the answer" if isinstance(wanted, str) and wanted in text else ""
        value = pick(body, path)
        there = value is not MISSING
        if check.startswith("matches"):
            texts = [
                entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str)
            ]
            any_match = any(re.search(pattern, entry) for pattern in member["value"] for entry in texts)
            holds = any_match is (check == "matches")
        else:
            holds = {
                "equals": there and type(value) is type(wanted) and value == wanted,
                "agrees": not there or (type(value) is type(wanted) and value == wanted),
                "differs": there and value != wanted,
                "present": there,
                "absent": not there or value is None,
                "contains": isinstance(value, list) and wanted in value,
                "lacks": not there or value is None or (isinstance(value, list) and wanted not in value),
                "length": isinstance(value, list) and len(value) == wanted,
            }[check]
        return "" if holds else f"{path} = {shown_value(value)}"

    def clean_up(self) -> None:
        """Delete what the sequence has made, the newest first; what resists stays."""
        for step in reversed(self.case["clean_up"]):
            if all(match[0] in self.values for match in VARIABLE.finditer(step["target"])):
                try:
                    self.send(step)
                except CouldNotRunError:
                    return


def complaint(outcome: dict[str, Any], status: int, body: Any) -> str:
    """Return why an answer is not this outcome, or ``""``."""
    if status not in outcome["statuses"] if outcome["statuses"] else status < FIRST_ERROR:
        return str(status)
    if outcome["code"] is not None:
        code = pick(body, outcome["code_at"]) if outcome["code_at"] else MISSING
        if code != outcome["code"]:
            return f"{status} with code {shown_value(code)}"
    return _text_complaint(outcome, status, body) or _target_complaint(outcome, body)


def _text_complaint(outcome: dict[str, Any], status: int, body: Any) -> str:
    """Return why the text of an answer is not that of an outcome, or ``""``; without a code it is the summary."""
    path = outcome["text_at"] if outcome["code"] is not None else outcome["summary_at"] or outcome["text_at"]
    patterns, messages = outcome["patterns"], outcome["messages"]
    if not path or not (patterns or messages):
        return ""
    text = pick(body, path)
    fits = isinstance(text, str) and (
        any(re.search(pattern, text) for pattern in patterns)
        if patterns
        else any(says(text, known, detail=outcome["detail"]) for known in messages)
    )
    return "" if fits else f"{outcome['code'] or status} with {path.rpartition('.')[2]} {shown_value(text)}"


def _target_complaint(outcome: dict[str, Any], body: Any) -> str:
    """Return why the target of a refusal is not that of an outcome, or ``""``."""
    if not outcome["target"] or not outcome["target_at"]:
        return ""
    target = pick(body, outcome["target_at"])
    fits = isinstance(target, dict) and [target.get("type"), target.get("name")] == list(outcome["target"])
    return "" if fits else f"{outcome['code']} with target {shown_value(target)}"


def read(status: int, headers: Any, content: bytes) -> Answer:
    """Return status, headers, document and text of an answer."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return status, {name.lower(): value for name, value in headers.items()}, body, text + str(headers)


def pick(document: Any, path: str) -> Any:
    """Return the value at a dotted path; ``*`` collects from all entries of a list."""
    if not path:
        return document
    head, _, rest = path.partition(".")
    if head == "*":
        if not isinstance(document, list):
            return MISSING
        values = [pick(entry, rest) for entry in document]
        return [value for value in values if value is not MISSING]
    if isinstance(document, dict) and head in document:
        return pick(document[head], rest)
    if isinstance(document, list) and head.isdigit() and int(head) < len(document):
        return pick(document[int(head)], rest)
    return MISSING


def shown_value(value: Any) -> str:
    """Return a value in a few characters."""
    return "nothing" if value is MISSING else repr(value)[:200]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a token goes to no other host."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
VARIABLE = re.compile(
    r"<[A-Za-z][\w-]*:[0-9a-f]{12}>|kmsct-[A-Za-z0-9_-]+|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
)


def main(case: dict[str, Any]) -> int:
    """Run a reproduction and return its exit code."""
    if case["cannot"]:
        print(f"could not be run: {case['cannot']}", file=sys.stderr)
        return COULD_NOT_RUN
    try:
        return Reproduction(case).run()
    except CouldNotRunError as why:
        print(f"could not be run: {why}", file=sys.stderr)
        return COULD_NOT_RUN
