"""``junit.xml``: real elements, so that a reader that counts elements sees what a reader of attributes sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, headline
from kms_conformance.outputs import history
from kms_conformance.outputs.about import facts_by_name
from kms_conformance.outputs.files import put
from kms_conformance.outputs.overview import contract_ids, contract_title, unjudged_text, why_not_conformant
from kms_conformance.outputs.text import rfc3339, visible_lines

NAME = "junit.xml"

_CHILDREN = {
    Verdict.FAILED: "failure",
    Verdict.ERROR: "error",
    Verdict.INCONCLUSIVE: "error",
    Verdict.NOT_TESTED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
}
# A failure that the baseline accepts must not turn a job red; the property tells it from what was not tested.
_ACCEPTED = "skipped"
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def write(run: Run, directory: Path) -> Path:
    """Write ``junit.xml`` and return its path."""
    return put(directory / NAME, render(run))


def render(run: Run) -> str:
    """Return the XML document: one ``testsuite`` per contract, one ``testcase`` per case.

    When the run is not conformant although no case says so (nothing ran, it was cut short, its baseline is wrong), a
    suite named ``run`` holds one ``error`` that says why; it has no ``verdict`` property and so counts as no case.
    """
    root = ET.Element("testsuites", name="kms-conformance", time=f"{run.finished - run.started:.3f}")
    suites = [_suite(run, contract) for contract in contract_ids(run)]
    why = why_not_conformant(run)
    if why:
        suites.append(_run_suite(run, why))
    root.extend(suites)
    _count(root, root.iter("testcase"))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def read_counts(path: Path) -> dict[str, int]:
    """Return how many cases got each of the seven verdicts, as a ``junit.xml`` of ours tells it.

    A failure that a baseline accepts counts as failed. Raises :class:`xml.etree.ElementTree.ParseError` when the file
    is not XML, :class:`ValueError` when a case's verdict is none of the seven or its elements contradict its verdict.
    """
    counts = {str(verdict): 0 for verdict in Verdict}
    for element in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own file, or one its user trusts
        for entry in element.findall("properties/property[@name='verdict']"):
            verdict = Verdict(entry.get("value", ""))
            tag = next((child.tag for child in element if child.tag in _COUNTED.values()), None)
            accepted = element.find("properties/property[@name='accepted']") is not None
            if tag != (_ACCEPTED if accepted else _CHILDREN.get(verdict)):
                raise ValueError(f"{element.get('name')}: verdict {verdict.value} with the element {tag}")
            counts[verdict] += 1
    return counts


def _suite(run: Run, contract: str) -> ET.Element:
    cases = [case for case in run.cases if case.contract == contract]
    suite = ET.Element("testsuite", name=_legal(contract_title(run, contract)), id=_legal(contract))
    _count(suite, elements := [_testcase(case, run.accepted.get(case.id, "")) for case in cases])
    suite.set("time", f"{sum(case.duration for case in cases):.3f}")
    suite.set("timestamp", rfc3339(run.started))
    _properties(suite, {"contract": contract, **_about(run)})
    suite.extend(elements)
    return suite


def _run_suite(run: Run, why: str) -> ET.Element:
    element = ET.Element("testcase", classname="kms-conformance", name="run verdict", time="0.000")
    child = ET.SubElement(element, "error", type=run.verdict.value, message=_legal(why))
    child.text = _legal(headline(run))
    suite = ET.Element("testsuite", name="run")
    _count(suite, [element])
    suite.set("timestamp", rfc3339(run.started))
    _properties(suite, _about(run))
    suite.append(element)
    return suite


def _about(run: Run) -> dict[str, str]:
    target = run.meta.get("target", {})
    return {
        "run-verdict": run.verdict.value,
        "headline": headline(run),
        "profile": run.profile.value,
        "base_url": str(target.get("base_url", "")),
        **{f"run-{name.lower().replace(' ', '-')}": text for name, text in facts_by_name(run).items()},
    }


def _testcase(case: CaseResult, accepted: str) -> ET.Element:
    module = case.file.removesuffix(".py").replace("/", ".") or case.contract
    element = ET.Element(
        "testcase", classname=_legal(module), name=_legal(case.id), time=f"{case.duration:.3f}"
    )
    if case.file:
        element.set("file", _legal(case.file))
        element.set("line", str(case.line))
    properties = _properties(element, {"verdict": case.verdict.value, "title": case.title})
    for requirement in case.requirements:
        ET.SubElement(properties, "property", name="requirement", value=_legal(requirement))
    tag = _CHILDREN.get(case.verdict)
    message = case.missing or case.message or case.verdict.value
    if accepted:
        ET.SubElement(properties, "property", name="accepted", value=_legal(accepted))
        tag, message = _ACCEPTED, f"failed, accepted by the baseline: {accepted}"
    if tag is not None:
        child = ET.SubElement(element, tag, type=case.verdict.value, message=_legal(message))
        child.text = _legal(_details(case)) or None
    elif case.findings:
        ET.SubElement(element, "system-out").text = _legal(_details(case))
    return element


def _details(case: CaseResult) -> str:
    lines = [case.rule.strip()] if case.rule.strip() else []
    shown = ""
    for finding in case.findings:
        lines += [
            f"[{finding.severity.value}] {finding.requirement}"
            + (f" at {finding.step}" if finding.step else ""),
            f"  expected: {finding.expected}",
            f"  got:      {finding.got}",
            *(f"    {line}" for line in history.text(history.of_finding(case, finding))),
            f"  evidence: {finding.exchange}",
            *([f"  {finding.curl}"] if finding.curl and finding.curl != shown else []),
        ]
        shown = finding.curl
    unjudged = unjudged_text(case)
    return "\n".join([*lines, unjudged] if unjudged else lines)


def _count(element: ET.Element, cases: Iterable[ET.Element]) -> None:
    elements = list(cases)
    element.set("tests", str(len(elements)))
    for attribute, tag in _COUNTED.items():
        element.set(attribute, str(sum(case.find(tag) is not None for case in elements)))


def _properties(element: ET.Element, values: Mapping[str, str]) -> ET.Element:
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=name, value=_legal(value))
    return properties


def _legal(text: str) -> str:
    """Return a text in which what XML cannot carry, and what an eye would not see, is escaped."""
    return visible_lines(text)
