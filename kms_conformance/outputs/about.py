"""What every output tells of how a run was made: by whom it was answered, how fast, and what it has left behind. Pure.

The blocks come from ``Run.meta``, where the run has put them, and from the evidence.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kms_conformance import __version__
from kms_conformance.evidence.latency import Latency, clock_skew, latencies
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.overview import contract_title, rows_text
from kms_conformance.outputs.text import duration_text, rfc3339, rounded

TAKEN_OVER = (
    "run_id",
    "edition",
    "contracts",
    "target",
    "options",
    "suite",
    "command_line",
    "environment",
    "servers",
    "identities",
    "requests",
    "left_behind",
    "shards",
)
"""The members of ``results.json`` that no evidence gives; `judge` takes them over from the record."""

_LONG_SKEW = 2.0


def facts(run: Run) -> list[tuple[str, str]]:
    """Return everything worth telling of how the run was made, as names and texts; texts may hold a server's words."""
    meta = run.meta
    target, suite = meta.get("target", {}), {"version": __version__, **meta.get("suite", {})}
    environment = meta.get("environment", {})
    product = meta.get("product") or {}
    lines = [
        ("Product", " ".join(filter(None, map(product.get, ("vendor", "name", "version"))))),
        ("Endpoint", str(target.get("base_url", ""))),
        ("Instance", str(target.get("instance", ""))),
        *(("Server", server_text(server)) for server in meta.get("servers", ())),
        ("Profile", f"{run.profile.value}, edition {meta.get('edition', 'page')}"),
        *(
            ("Contract", f"{contract_title(run, block['id'])}, edition {block.get('edition', '')}")
            for block in meta.get("contracts", ())
            if "id" in block
        ),
        ("Rows", rows_text(run)),
        ("Started", rfc3339(run.started)),
        ("Took", duration_text(run.finished - run.started)),
        ("Requests", requests_text(run)),
        ("Left behind", left_behind_text(run)),
        ("Clock", skew_text(run)),
        ("Identities", identities_text(run)),
        ("Command", command_text(run)),
        ("Options", options_text(run)),
        (
            "Suite",
            " ".join(filter(None, ["kms-conformance", suite["version"], str(suite.get("commit", ""))[:12]])),
        ),
        ("Made with", ", ".join(filter(None, map(str, environment.values())))),
        ("Run", str(meta.get("run_id", ""))),
    ]
    return [(name, text) for name, text in lines if text]


def facts_by_name(run: Run) -> dict[str, str]:
    """Return :func:`facts` for formats that take each name once."""
    texts: dict[str, str] = {}
    for name, text in facts(run):
        texts[name] = f"{texts[name]}; {text}" if name in texts else text
    return texts


def requests_text(run: Run) -> str:
    """Return how many requests left and how many of them had to be sent again because of a rate limit."""
    block = requests_of(run)
    text = f"{block['sent']:,}" if block["sent"] else ""
    if block["throttled"]:
        text += f", {block['throttled']} answered by 429 and sent again after {duration_text(block['waited_s'])} in all"
    return text


def requests_of(run: Run) -> dict[str, Any]:
    """Return how many requests were sent, kept as evidence, and refused by a rate limit and sent again."""
    given = run.meta.get("requests", {})
    kept = sum(len(case.exchanges) for case in run.cases)
    return {
        "sent": max(int(given.get("sent", 0)), kept),
        "kept": kept,
        "throttled": int(given.get("throttled", 0)),
        "waited_s": rounded(float(given.get("waited_s", 0.0))),
    }


def left_behind(run: Run) -> list[str]:
    """Return a line for each thing that the run has made and could not remove."""
    return [str(line) for line in run.meta.get("left_behind", ())]


def left_behind_text(run: Run) -> str:
    """Return what was left behind in a few words; ``""`` where the run does not know."""
    if "left_behind" not in run.meta:
        return ""
    lines = left_behind(run)
    return "; ".join(lines) if lines else "nothing"


def skew_text(run: Run) -> str:
    """Return how far the endpoint's clock is from ours, in words; ``""`` where no answer has a date."""
    skew = clock_skew(run.outlines)
    if skew is None:
        return ""
    if abs(skew.median) < _LONG_SKEW:
        text = "the endpoint's and ours agree"
    else:
        text = f"the endpoint's is {duration_text(abs(skew.median))} {'ahead of' if skew.median > 0 else 'behind'} ours"
    if skew.most - skew.least > 2 * _LONG_SKEW:
        text += f" in most answers; from {skew.least:+.0f} s to {skew.most:+.0f} s in all {skew.answers}"
    return text


def skew_block(run: Run) -> dict[str, Any] | None:
    """Return how far the endpoint's clock is from ours, as data; ``None`` where no answer has a date."""
    skew = clock_skew(run.outlines)
    if skew is None:
        return None
    return {
        "median_s": rounded(skew.median),
        "least_s": rounded(skew.least),
        "most_s": rounded(skew.most),
        "answers": skew.answers,
    }


def identities_text(run: Run) -> str:
    """Return the identities with what their tokens say of their roles."""
    blocks = run.meta.get("identities", {})
    names = run.meta.get("target", {}).get("identities", ()) or blocks
    return ", ".join(_identity(name, blocks.get(name, {})) for name in names)


def _identity(name: str, block: Mapping[str, Any]) -> str:
    roles = [str(role) for role in block.get("roles", ())]
    return f"{name} (its token says {' and '.join(roles)})" if roles else name


def command_text(run: Run) -> str:
    """Return the command line as a shell takes it; secrets have been replaced before."""
    return shlex.join(map(str, run.meta.get("command_line", ())))


def options_text(run: Run) -> str:
    """Return the options that are not empty, in a line."""
    return ", ".join(_option(name, value) for name, value in _flat(run.meta.get("options", {})))


def server_text(server: Mapping[str, Any]) -> str:
    """Return address and certificate of a server in a line."""
    name, addresses = str(server.get("name", "")), ", ".join(map(str, server.get("addresses", ())))
    text = name if addresses in {"", name} else f"{name} at {addresses}"
    for certificate in server.get("certificates", ()):
        text += (
            f"; {certificate.get('tls', 'TLS')}, certificate of {certificate.get('subject', '')}"
            f" by {certificate.get('issuer', '')}, valid {certificate.get('not_before', '')} to"
            f" {certificate.get('not_after', '')}, SHA-256 {certificate.get('sha256', '')}"
        )
    return text


def latency_of(run: Run) -> tuple[Latency, ...]:
    """Return how long the answers to each operation took, of the requests that are kept as evidence."""
    return latencies(run.outlines)


def latency_block(run: Run) -> list[dict[str, Any]]:
    """Return the latency of each operation as data, in seconds to the millisecond."""
    return [
        {
            "operation": latency.operation,
            "count": latency.count,
            **{
                f"{name}_s": rounded(value) for name, value in asdict(latency).items() if name.startswith("p")
            },
        }
        for latency in latency_of(run)
    ]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value not in (None, "", [], (), False):
            yield f"{before}{name}", value


def _option(name: str, value: Any) -> str:
    if value is True:
        return name
    text = " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
    return f"{name} {text}"
