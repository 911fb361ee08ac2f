"""How long the cases of earlier runs took: what shards are cut by."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.outputs.results import NAME


def measured(places: Iterable[Path]) -> dict[str, dict[str, float]]:
    """Return the mean seconds of each case by the address of the endpoint; ``""`` has those of all endpoints.

    Every ``results.json`` in or below a place counts. Waiting is no work: it overlaps with everything else. Raises
    :class:`CampaignResultsError` where a place holds none.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for place in places:
        files = sorted(place.rglob(NAME))
        if not files:
            raise CampaignResultsError(str(place), f"there is no {NAME} in it", "leave it out of `earlier`.")
        for file in files:
            record = _record(file)
            url = str(record["target"]["base_url"]).rstrip("/")
            for case in record["cases"]:
                seconds = max(case["duration_s"] - case["waited_s"], 0.0)
                found[url][case["id"]].append(seconds)
                found[""][case["id"]].append(seconds)
    return {
        url: {case_id: round(sum(times) / len(times), 3) for case_id, times in sorted(cases.items())}
        for url, cases in found.items()
    }


def of_endpoint(seconds: Mapping[str, Mapping[str, float]], base_url: str) -> Mapping[str, float]:
    """Return what was measured at an endpoint; where nothing was, what was measured at all the others."""
    return seconds.get(base_url) or seconds.get("", {})


def _record(file: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        _ = record["target"]["base_url"], [(case["duration_s"], case["waited_s"]) for case in record["cases"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise CampaignResultsError(str(file), "it is not what a run has written") from None
    return record
