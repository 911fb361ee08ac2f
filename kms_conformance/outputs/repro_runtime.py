"""What a reproduction needs to send a recorded sequence again: pasted into each script, standard library only."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import secrets
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from kms_conformance.evidence.damage import DAMAGES
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.judging.order import is_between, is_empty, is_sorted, selects
from kms_conformance.outputs.repro_checks import (
    Answer,
    outcome_complaint,
    rule_complaint,
    short_text,
)
from kms_conformance.outputs.repro_credentials import Credentials, material
from kms_conformance.outputs.repro_histories import ONE_ORDER, Timed, brought, history_complaint
from kms_conformance.outputs.repro_pages import of_page
from kms_conformance.outputs.repro_sealing import aes_gcm, is_as_told, oaep
from kms_conformance.outputs.repro_sending import (
    BARE_TIME,
    CouldNotRunError,
    any_time_about,
    ask,
    connected,
    send,
    send_over,
    widened,
)

HOLDS, BROKEN, COULD_NOT_RUN = 0, 1, 2
FIRST_YEAR, REACH = 2020, 200


class HeldEarlierError(Exception):
    """What is promised held when it was asked first: in the record it did not, and was asked again."""


class Reproduction:
    """Sends the requests of a case again; values that differ from run to run are generated or taken from the answers."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.base = os.environ.get("KMS_BASE_URL", case["base_url"]).rstrip("/")
        self.control = os.environ.get("KMS_CONTROL_URL", "").rstrip("/")
        self.answers: dict[int, Any] = {}
        self.seen: dict[int, Timed] = {}
        self.values: dict[str, str] = {}
        self.credentials = Credentials(case["grant"])
        self.later = timedelta(0)
        self.speaker: Any = None
        self.begin()

    def begin(self) -> None:
        """Forget every value of this run; the instance stays."""
        self.answers, self.seen, self.values = {}, {}, {}
        self.case["new_run"] = secrets.token_hex(4)
        packed = self.case.get("speaker")
        self.speaker = packed and brought(packed)(self.case["new_run"], is_fresh=not self.case["kept"])
        instance = os.environ.get("KMS_INSTANCE", "")
        if instance and self.case["instance"]:
            self.values[self.case["instance"]] = instance

    def run(self) -> int:
        """Send every request, some more than once where it is a matter of moments, and return the exit code."""
        broken = self.once()
        for _ in range(self.case.get("tries", 1) - 1):
            if not broken:
                self.begin()
                broken = self.once()
        print("the promise is broken" if broken else "the promise holds")
        return BROKEN if broken else HOLDS

    def once(self) -> list[str]:
        """Send every request and return the promises that were broken."""
        broken: list[str] = []
        try:
            for _, group in itertools.groupby(self.case["steps"], lambda step: step["group"]):
                broken += self.perform(list(group))
        except HeldEarlierError:
            print("  as promised, so that it need not be asked again")
        except CouldNotRunError:
            if not broken:
                raise
        finally:
            self.clean_up()
        return broken

    def perform(self, steps: list[dict[str, Any]]) -> list[str]:
        """Send one request, or several at the same moment, and return the promises that their answers break."""
        self.later = timedelta(seconds=time.time() - steps[0]["started"])
        for (what, *how), refs in itertools.chain.from_iterable(step["before"] for step in steps):
            self.between(what, how, refs)
        requests = [self.request(step) for step in steps]
        sent_over = [connected(request) if len(steps) > 1 else None for request in requests]
        begun = time.monotonic()
        with ThreadPoolExecutor(len(requests)) as threads:
            given = list(threads.map(self.send_at, steps, requests, sent_over, itertools.repeat(begun)))
        # Which of several equal requests is answered first, nobody knows: the best fit counts.
        answers = min(self.orders(steps, given), key=lambda order: len(self.broken(steps, order)))
        broken = self.broken(steps, answers)
        for step, answer in zip(steps, answers, strict=True):
            print(f"{answer[0]} {step['method']} {step['step']}")
        for told, wrong in broken:
            print(f"  expected {told}\n  got {wrong}")
        self.hear(steps, answers)
        if not broken:
            self.go_on(steps, answers)
        return [told for told, _ in broken]

    def go_on(self, steps: list[dict[str, Any]], answers: Sequence[Answer]) -> None:
        """Raise :class:`HeldEarlierError` or :class:`CouldNotRunError` where the sequence ends with these answers."""
        for step, answer in zip(steps, answers, strict=True):
            later = self.case["steps"][step["again"]]["promises"] if "again" in step else []
            if later and not any(self.mismatch(step, answer, *promise) for _, *promise in later):
                raise HeldEarlierError
            if step["needed"] and not 200 <= answer[0] < 300:  # noqa: PLR2004 - a success
                raise CouldNotRunError(
                    f"{step['step']} was answered by {answer[0]}, and the sequence needs a success"
                )
            done = isinstance(answer[2], dict) and answer[2].get("level") == "ok"
            if step.get("frame", {}).get("done") and not done and not step["promises"]:
                raise CouldNotRunError(f"{step['step']} was refused, and the sequence needs a success")

    def hear(self, steps: list[dict[str, Any]], answers: Sequence[Answer]) -> None:
        """Take in what answers to frames tell the requests after them."""
        for step, answer in zip(steps, answers, strict=True):
            if frame := step.get("frame"):
                self.speaker.hear(frame, self.unit_of(step), answer[2])

    def unit_of(self, step: dict[str, Any]) -> str:
        """Return the last part of the address that a request is sent to: of frames the system knows which it is."""
        own = self.target(step["target"], step["from"]).rpartition("/")[2]
        return str(self.speaker.unit(step["frame"], own)) if "text" in (step.get("frame") or {}) else own

    def send_at(
        self, step: dict[str, Any], request: urllib.request.Request, over: Any, begun: float
    ) -> Answer:
        """Send a request, as long after the first of those at the same moment as in the record where moments matter."""
        if self.case.get("model"):
            time.sleep(max(0.0, begun + step["offset"] - time.monotonic()))
        started, first = time.time(), time.monotonic()
        answer = send_over(over, request)
        if frame := step.get("frame"):
            answer = (*answer[:2], self.speaker.read(frame, answer[2]), answer[3])
        self.seen[step["place"]] = (step, request.full_url, started, time.monotonic() - first, answer)
        return answer

    @staticmethod
    def orders(steps: Sequence[dict[str, Any]], given: Sequence[Answer]) -> Iterator[tuple[Answer, ...]]:
        """Yield the ways to assign answers to requests that were the same and sent at once."""
        same = [(step["method"], step["target"], json.dumps(step["body"])) for step in steps]
        if len(steps) <= MOST_AT_ONCE:
            for places in itertools.permutations(range(len(steps))):
                if all(same[place] == one for place, one in zip(places, same, strict=True)):
                    yield tuple(given[place] for place in places)
        else:
            yield tuple(given)

    def broken(self, steps: Sequence[dict[str, Any]], answers: Sequence[Answer]) -> list[tuple[str, str]]:
        """Return the promises that answers break, each with what came instead."""
        for step, answer in zip(steps, answers, strict=True):
            self.answers[step["place"]] = answer[2]
        return [
            (told, wrong)
            for step, answer in zip(steps, answers, strict=True)
            for told, *promise in step["promises"]
            if (wrong := self.mismatch(step, answer, *promise))
        ]

    def between(self, what: str, how: list[Any], refs: dict[str, Any]) -> None:
        """Wait, or ask the control protocol for what the case asked for."""
        if what == "wait" and not self.control:
            print(f"waiting {how[0]:g} s")
            time.sleep(how[0])
        elif what == "wait":
            instance = self.value(self.case["instance"], {})
            ask("POST", f"{self.control}/instances/{instance}/clock", {"advance_seconds": how[0]})
        elif what == "parcel":
            self.pack(how[0], refs)
        elif what == "damage":
            name, whole, made = how
            self.values[made] = DAMAGES[name](self.value(whole, refs))
        elif not self.control:
            raise CouldNotRunError("it needs the control protocol: set KMS_CONTROL_URL")
        else:
            method, path, body, *made = how
            answer = ask(method, self.control + self.text(path, refs), self.document(body, refs))
            if made and isinstance(answer, dict):
                self.values[made[0]] = str(answer.get("id"))

    def pack(self, made: dict[str, str], refs: dict[str, Any]) -> None:
        """Pack key material for an import token, as the case did; the three members that it sends are then known."""
        self.case["forms"].setdefault(made["material"], made.get("form", "base64 32"))
        material, key, nonce = (
            base64.b64decode(self.value(made[name], refs)) for name in ("material", "key", "nonce")
        )
        iv = secrets.token_bytes(12)
        for name, value in (
            ("payload", oaep(material, key)),
            ("encryptedNonce", aes_gcm(material, iv, nonce)),
            ("iv", iv),
        ):
            self.values[made[name]] = base64.b64encode(value).decode()

    def request(self, step: dict[str, Any]) -> urllib.request.Request:
        """Return a request of this run."""
        refs = step["from"]
        headers = {name: self.text(value, refs) for name, value in step["headers"].items()}
        headers["user-agent"] = "kms-conformance-repro"
        headers.setdefault("correlation-id", str(uuid.uuid4()))
        if step["token_of"]:
            headers["authorization"] = f"Bearer {self.credentials.token(step['token_of'])}"
        elif "credential" in step:
            identity, form = step["credential"]
            headers["authorization"] = f"Bearer {self.credentials.forged(form, identity)}"
        elif step.get("signed") and "KMS_AUTHORIZATION" in os.environ:
            headers["authorization"] = os.environ["KMS_AUTHORIZATION"]
        data, document = None, self.document(step["body"], refs)
        if "text" in (frame := step.get("frame") or {}):
            try:
                document = self.speaker.body(frame, self.unit_of(step), step["place"])
            except ValueError as error:
                raise CouldNotRunError(str(error)) from None
        if step["text"] is not None:
            data = self.text(step["text"], refs).encode("utf-8", "surrogatepass")
        elif document is not None:
            data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "surrogatepass"
            )
        url = self.base + self.target(step["target"], refs)
        if "text" in frame:
            url = f"{url.rpartition('/')[0]}/{self.unit_of(step)}"
        request = urllib.request.Request(url, data, headers, method=step["method"])
        if data is not None and "content-type" not in step["headers"]:
            request.add_unredirected_header("Content-type", "")
        step["sent"], step["sent_body"] = (
            headers,
            None if step["text"] is not None else data and json.loads(data),
        )
        return request

    def target(self, recorded: str, refs: dict[str, Any]) -> str:
        """Return a path and query of this run; a value may stand there with escapes."""
        parts = re.split(r"([/?&=+])", recorded)
        for place, part in enumerate(parts):
            plain = urllib.parse.unquote(part)
            own = self.text(plain, refs)
            escaped = urllib.parse.quote(own, safe="").replace("-", "%2D" if "%2D" in part else "-")
            parts[place] = escaped if plain not in {part, own} else self.text(part, refs)
        return "".join(parts)

    # --- values of this run in the place of those of the record -------------------------------------------------------

    def text(self, recorded: str, refs: dict[str, Any]) -> str:
        """Return a recorded text with every value of that run replaced by one of this run.

        ``refs`` says in which answer, and where in it, each value stood.
        """
        longest_first = sorted(map(re.escape, refs), key=len, reverse=True)
        variable = re.compile("|".join([*longest_first, VARIABLE.pattern]))
        return variable.sub(lambda match: self.value(match[0], refs), recorded) if recorded else recorded

    def value(self, recorded: str, refs: dict[str, Any]) -> str:
        """Return what stands for a recorded value here; one that no answer has given is made anew."""
        if recorded in refs:
            place, path = refs[recorded]
            given = self.at(self.answers.get(place), path)
            if isinstance(given, str):
                return given
        if recorded not in self.values:
            whole = VARIABLE.fullmatch(recorded)
            self.values[recorded] = (
                self.made(recorded)
                if whole
                else VARIABLE.sub(lambda match: self.value(match[0], refs), recorded)
            )
        return self.values[recorded]

    def at(self, document: Any, path: list[Any]) -> Any:
        """Return the value at a path; a part ``[member, recorded]`` is the entry of a list that has this value."""
        for place, part in enumerate(path):
            if isinstance(part, str):
                if part == "*":
                    return pick(document, ".".join(path[place:]))
                document = pick(document, part)
                continue
            if isinstance(part, dict):
                return document[part["from"] : part["to"]] if isinstance(document, str) else MISSING
            member, recorded = part
            wanted = self.value(recorded, self.case["first"])
            entries = document if isinstance(document, list) else []
            document = next((entry for entry in entries if pick(entry, member) == wanted), MISSING)
        return document

    def made(self, recorded: str) -> str:
        """Make a value of the same form."""
        if recorded in self.case["kept"]:
            return recorded
        if recorded.startswith("<"):
            return material(self.case["forms"].get(recorded, "base64 32"))
        run, new_run = self.case["run"], self.case["new_run"]
        if recorded.casefold().startswith("kmsct-"):
            return recorded.replace(run, new_run).replace(run.upper(), new_run.upper())
        if recorded[4:5] == "-" and "T" in recorded:
            moment = self.moved(datetime.fromisoformat(recorded))
            fraction = recorded.partition(".")[2]
            exact = "microseconds" if fraction[3:4].isdigit() else "milliseconds" if fraction else "seconds"
            return moment.isoformat(timespec=exact).replace("+00:00", "Z")
        return str(uuid.uuid4())

    def about_then(self, time_of_record: re.Match[str]) -> str:
        """Return a pattern for the time here of one in a pattern of the record, which names no offset."""
        sent = self.values.get(f"{time_of_record[0]}Z")
        if sent is not None:
            return sent[: len(time_of_record[0])]
        return any_time_about(self.moved(datetime.fromisoformat(time_of_record[0])))

    def moved(self, then: datetime) -> datetime:
        """Return the moment here of one in the record; what is out of all reach, such as the last date there is, stays."""
        return then + self.later if abs(then.year - FIRST_YEAR) < REACH else then

    def document(self, recorded: Any, refs: dict[str, Any]) -> Any:
        """Return a recorded document with the values of this run."""
        if isinstance(recorded, dict):
            return {name: self.document(value, refs) for name, value in recorded.items()}
        if isinstance(recorded, list):
            return [self.document(value, refs) for value in recorded]
        return self.text(recorded, refs) if isinstance(recorded, str) else recorded

    # --- what is promised ---------------------------------------------------------------------------------------------

    def mismatch(
        self, step: dict[str, Any], answer: Answer, outcomes: list[Any], members: list[Any], rules: list[Any]
    ) -> str:
        """Return what deviates from an expectation, or ``""``."""
        status, headers, body, text = answer
        for rule in rules:
            known = {**rule, "sent": step["sent"].get(rule.get("header", ""))}
            known["secrets"] = [self.live(token, step) for token in rule.get("secrets", ())]
            wrong = rule_complaint(known, step["method"], answer, self.case["schemas"])
            if wrong:
                return wrong
        if not status:
            return text or "no answer"
        told = [
            outcome_complaint(outcome, step["method"], answer, self.case["schemas"]) for outcome in outcomes
        ]
        if told and all(told):
            return next(
                (one for one, outcome in zip(told, outcomes, strict=True) if status in outcome["statuses"]),
                told[0],
            )
        gone = status in {404, 410} and not outcomes  # what is not there has no member that could be the same
        for member in (one for one in members if not (gone and one["check"] == "differs")):
            wrong = self.member(member, headers, body, text, step.get("frame"))
            if wrong:
                return f"{status} with {wrong}"
        return ""

    def live(self, token: str, step: dict[str, Any]) -> str:
        """Return the secret of a request that a token of the record stands for."""
        if token.startswith("<token:"):
            return str(step["sent"].get("authorization", token).rpartition(" ")[2])
        return self.value(token, step["from"])

    def member(
        self, member: dict[str, Any], headers: dict[str, str], body: Any, text: str, frame: Any = None
    ) -> str:
        """Return what deviates from a statement about a member, or ``""``."""
        check, path, refs = member["check"], member["path"], member["from"]
        wanted = self.document(self.spoken(member, frame), refs)
        if check == ONE_ORDER:
            return history_complaint(self.case["model"], member["value"], self.seen, self.case["code_at"])
        if check == "header":
            value: Any = headers.get(path, MISSING)
            return (
                ""
                if value is not MISSING and wanted in (None, value)
                else f"header {path} = {short_text(value)}"
            )
        if check == "hides":
            is_there = isinstance(wanted, str) and (wanted in text or wanted.upper() in text)
            return f"{path} in the answer" if is_there else ""
        value = self.at(body, member["at"])
        there = value is not MISSING
        if member.get("same"):
            before = self.at(self.answers.get(member["same"][0]), member["same"][1])
            wanted = before if isinstance(before, str) else wanted
        if check in {"equals", "between"} and not there and self.is_gone(member, body):
            return ""
        if check.startswith("matches"):
            texts = [
                entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str)
            ]
            patterns = [BARE_TIME.sub(self.about_then, pattern) for pattern in wanted]
            found = any(re.search(pattern, entry) for pattern in patterns for entry in texts)
            return "" if found is (check == "matches") else f"{path} = {short_text(value)}"
        checks: dict[str, Callable[[], bool]] = {
            "equals": lambda: (
                there
                and type(value) is type(wanted)
                and (value == wanted or is_as_told(str(value), str(wanted)))
            ),
            "agrees": lambda: not there or (type(value) is type(wanted) and value == wanted),
            "differs": lambda: there and value != wanted,
            "present": lambda: there,
            "absent": lambda: not there or value is None,
            "empty": lambda: not there or is_empty(value),
            "contains": lambda: isinstance(value, list) and wanted in value,
            "lacks": lambda: not there or value is None or (isinstance(value, list) and wanted not in value),
            "length": lambda: isinstance(value, list) and len(value) == wanted,
            "selects": lambda: selects(value if there else None, wanted),
            "sorted": lambda: is_sorted(value, wanted),
            "between": lambda: is_between(value, widened(wanted, member["value"], refs)),
        }
        if about := member.get("page"):
            lists = [self.at(self.answers.get(place), path) for place, path in about["from"]]
            selected = of_page(value, wanted, about, lists)
            if selected is None:
                raise CouldNotRunError("what a page has to hold is not known where others fill the list too")
            wanted = selected
        if checks[check]():
            return ""
        return f"{path} = {short_text(value)}"

    def spoken(self, member: dict[str, Any], frame: Any) -> Any:
        """Return what a statement about a member says, of an answer to a frame in the values of this run."""
        try:
            return self.speaker.expected(member["path"], member["value"], frame) if frame else member["value"]
        except ValueError as error:
            raise CouldNotRunError(str(error)) from None

    def is_gone(self, member: dict[str, Any], body: Any) -> bool:
        """Tell whether nothing is expected at a place: it was empty before, or its list lacks the entry, which others judge."""
        refs, value = member["from"], member["value"]
        known = [
            refs.get(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
        ]
        before = [self.at(self.answers[ref[0]], ref[1]) for ref in known if ref and ref[0] in self.answers]
        if before and all(was is MISSING for was in before):
            return True
        at = member["at"]
        entry = next((place for place, part in enumerate(at) if not isinstance(part, str)), None)
        return entry is not None and self.at(body, at[: entry + 1]) is MISSING

    def clean_up(self) -> None:
        """Delete what the sequence has made, the newest first; what resists stays."""
        asked = [
            step for step in self.case["steps"] if "text" in (step.get("frame") or {}) and step["token_of"]
        ]
        for unit, body in self.speaker.zeroized() if self.speaker and asked else ():
            step = {**asked[0], "frame": None, "body": body}
            request = self.request(step)
            request.full_url = f"{request.full_url.rpartition('/')[0]}/{unit}"
            send(request)
        for step in reversed(self.case["clean_up"]):
            if all(place in self.answers for place, _ in step["from"].values()):
                try:
                    send(self.request(step))
                except CouldNotRunError:
                    return


MOST_AT_ONCE = 5
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
VARIABLE = re.compile(
    r"<[A-Za-z][\w-]*:[0-9a-f]{12}>|kmsct-[A-Za-z0-9_-]+|KMSCT-[A-Z0-9_-]+"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
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
    except Exception as error:  # noqa: BLE001 - whatever an answer is that no sequence expects, it breaks no promise
        print(f"could not be run: {type(error).__name__}: {error}", file=sys.stderr)
    return COULD_NOT_RUN
