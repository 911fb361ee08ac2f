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
from datetime import timedelta
from typing import Any

from kms_conformance.evidence.damage import DAMAGES
from kms_conformance.evidence.members import MISSING, is_same, texts_in
from kms_conformance.judging.order import is_between, is_empty, is_sorted, selects
from kms_conformance.outputs.repro_checks import (
    Answer,
    outcome_complaint,
    rule_complaint,
    short_text,
)
from kms_conformance.outputs.repro_credentials import Credentials
from kms_conformance.outputs.repro_histories import ONE_ORDER, Timed, brought, history_complaint
from kms_conformance.outputs.repro_pages import of_page
from kms_conformance.outputs.repro_sealing import aes_gcm, is_as_told, oaep
from kms_conformance.outputs.repro_sending import (
    BARE_TIME,
    CouldNotRunError,
    ask,
    connected,
    send,
    send_over,
    widened,
)
from kms_conformance.outputs.repro_tries import moments
from kms_conformance.outputs.repro_values import MOST_AT_ONCE, ValuesOfRun

HOLDS, BROKEN, COULD_NOT_RUN = 0, 1, 2
MOST_WAITING, MOST_TRIES = 5, 100


class HeldEarlierError(Exception):
    """What is promised held before it was asked in the record; the text says how."""


class Reproduction(ValuesOfRun):
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
        self.number = 0
        self.ahead = 0.0
        self.begin()

    def begin(self) -> None:
        """Forget every value of this run; the instance stays."""
        self.answers, self.seen, self.values = {}, {}, {}
        self.ahead = 0.0
        self.case["new_run"] = secrets.token_hex(4)
        packed = self.case.get("speaker")
        self.speaker = packed and brought(packed)(self.case["new_run"], is_fresh=not self.case["kept"])
        instance = os.environ.get("KMS_INSTANCE", "")
        if instance and self.case["instance"]:
            self.values[self.case["instance"]] = instance

    def run(self) -> int:
        """Send every request, some more than once where it is a matter of moments, and return the exit code."""
        broken = self.once()
        for number in range(1, self.tries()):
            if not broken:
                self.begin()
                self.number = number
                broken = self.once()
        print("the promise is broken" if broken else "the promise holds")
        return BROKEN if broken else HOLDS

    def tries(self) -> int:
        """Return how often the requests may be sent: not often where each time takes real waits."""
        waits = any(note[0] == "wait" for step in self.case["steps"] for note, _ in step["before"])
        tries: int = self.case.get("tries", 1)
        return min(tries, MOST_WAITING if waits and not self.control else MOST_TRIES)

    def once(self) -> list[str]:
        """Send every request and return the promises that were broken."""
        broken: list[str] = []
        try:
            for _, group in itertools.groupby(self.case["steps"], lambda step: step["group"]):
                broken += self.perform(list(group))
        except HeldEarlierError as why:
            print(f"  {why}")
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
        at = moments([step.get("offset", 0.0) for step in steps], self.number)
        begun = time.monotonic()
        with ThreadPoolExecutor(len(requests)) as threads:
            given = list(threads.map(self.send_at, steps, requests, sent_over, [begun + one for one in at]))
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
                raise HeldEarlierError("as promised, so that it need not be asked again")
            if step["needed"] and not 200 <= answer[0] < 300:  # noqa: PLR2004 - a success
                if self.says_so_now(step, answer):
                    raise HeldEarlierError("refused at once with what a later answer has to say")
                raise CouldNotRunError(
                    f"{step['step']} was answered by {answer[0]}, and the sequence needs a success"
                )
            done = isinstance(answer[2], dict) and answer[2].get("level") == "ok"
            if step.get("frame", {}).get("done") and not done and not step["promises"]:
                raise CouldNotRunError(f"{step['step']} was refused, and the sequence needs a success")

    def says_so_now(self, step: dict[str, Any], answer: Answer) -> bool:
        """Tell whether a refusal has the text that a later answer is promised to have, about a request that went through in the record."""
        patterns = [
            pattern
            for later in self.case["steps"][step["place"] + 1 :]
            for _, _, members, _ in later["promises"]
            for member in members
            if member["check"] == "matches"
            for pattern in member["value"]
        ]
        return any(re.search(pattern, text) for pattern in patterns for text in texts_in(answer[2]))

    def hear(self, steps: list[dict[str, Any]], answers: Sequence[Answer]) -> None:
        """Take in what answers to frames tell the requests after them."""
        for step, answer in zip(steps, answers, strict=True):
            if frame := step.get("frame"):
                self.speaker.hear(frame, self.unit_of(step), answer[2])

    def unit_of(self, step: dict[str, Any]) -> str:
        """Return the last part of the address that a request is sent to: of frames the system knows which it is."""
        own = self.target(step["target"], step["from"]).rpartition("/")[2]
        return str(self.speaker.unit(step["frame"], own)) if "text" in (step.get("frame") or {}) else own

    def send_at(self, step: dict[str, Any], request: urllib.request.Request, over: Any, at: float) -> Answer:
        """Send a request at its moment."""
        time.sleep(max(0.0, at - time.monotonic()))
        started, first = time.time() + self.ahead, time.monotonic()
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
            self.ahead += how[0]
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
        if status in step["open"] and not outcomes:
            return ""
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
                if value is not MISSING and (wanted is None or value == str(wanted))
                else f"header {path} = {short_text(value)}"
            )
        if check == "hides":
            is_there = isinstance(wanted, str) and (wanted in text or wanted.upper() in text)
            return f"{path} in the answer" if is_there else ""
        value = self.at(body, member["at"])
        there = value is not MISSING
        wanted = self.told_before(member, wanted)
        if not there and (
            self.lacks_entry(member, body) or (check in {"equals", "between"} and self.was_empty(member))
        ):
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
                and (is_same(value, wanted) or (isinstance(value, str) and is_as_told(value, str(wanted))))
            ),
            "agrees": lambda: not there or is_same(value, wanted),
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

    def told_before(self, member: dict[str, Any], wanted: Any) -> Any:
        """Return what an earlier answer here has told in the place of what one in the record has: a number, or nothing."""
        if member.get("count"):
            place, header = member["count"]
            told = self.seen[place][-1][1].get(header, "") if place in self.seen else ""
            return int(told) if told.isdigit() else wanted
        if member.get("same"):
            before = self.at(self.answers.get(member["same"][0]), member["same"][1])
            return before if isinstance(before, str) else wanted
        return wanted

    def spoken(self, member: dict[str, Any], frame: Any) -> Any:
        """Return what a statement about a member says, of an answer to a frame in the values of this run."""
        try:
            return self.speaker.expected(member["path"], member["value"], frame) if frame else member["value"]
        except ValueError as error:
            raise CouldNotRunError(str(error)) from None

    def was_empty(self, member: dict[str, Any]) -> bool:
        """Tell whether nothing is expected at a place, because nothing was there before."""
        refs, value = member["from"], member["value"]
        known = [
            refs.get(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
        ]
        before = [self.at(self.answers[ref[0]], ref[1]) for ref in known if ref and ref[0] in self.answers]
        return bool(before) and all(was is MISSING for was in before)

    def lacks_entry(self, member: dict[str, Any], body: Any) -> bool:
        """Tell whether a list lacks the entry that a statement is about, which is for others to judge: it may not have been made."""
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
