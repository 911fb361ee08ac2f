"""What stands for the values of a record in this run: pasted into each script, standard library only."""

from __future__ import annotations

import re
import urllib.parse
import uuid
from datetime import datetime, timedelta
from typing import Any

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.outputs.repro_credentials import material
from kms_conformance.outputs.repro_sending import any_time_about

MOST_AT_ONCE = 5
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
VARIABLE = re.compile(
    r"<[A-Za-z][\w-]*:[0-9a-f]{12}>|kmsct-[A-Za-z0-9_-]+|KMSCT-[A-Z0-9_-]+"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
)
FIRST_YEAR, REACH = 2020, 200


class ValuesOfRun:
    """Values that differ from run to run: generated, or taken from the answers."""

    case: dict[str, Any]
    answers: dict[int, Any]
    values: dict[str, str]
    later: timedelta

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
