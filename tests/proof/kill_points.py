"""Runs ended by ``kill -9`` at many requests, and what ``sweep`` then leaves beside the things of others.

``python tests/proof/kill_points.py [--points N] [--only KIND] [--each-ends FILE]`` serves the reference on loopback, fills one
instance with 50 things of others whose names resemble those of the suite, and starts one run for each point. The points of
a kind of run lie evenly between its first and its last request, so that each falls into the run; every second one is killed
when its request has been carried out and before the answer, the others just before the request reaches the endpoint.

After each, ``sweep --yes`` has to leave the instance as it was: policies, keys with all that a list shows of them, rings,
aliases and adapters. Ends with 1 where it does not.
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from killing_proxy import KillingProxy
from served_reference import served

PROGRAM = (sys.executable, "-m", "kms_conformance")
KEY, POLICY = "application/vnd.ibm.kms.key+json", "application/vnd.ibm.kms.policy+json"
ADAPTER = "application/vnd.ibm.kms.kmip_adapter+json"
_NEVER = 10**9
_TOLD = 10
"""After so many points a line says how far it is."""
_LONGEST = 300.0
_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
NAMES = (
    "production",
    "kmsct",
    "kmsct-somebody-else",
    "kmsct-deadbeef-key-mine",
    "kmsct-00000000-key-delete_twice-3",
    "my-kmsct-deadbeef-key-mine-abcdef001",
    "kmsct-DEADBEEF-key-mine-abcdef001",
    "kmsct-deadbeef-key-mine-abcdef001-copy",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run: its arguments, how many points of 200 it gets, and whether ``[allow]`` and the journal stay."""

    arguments: tuple[str, ...]
    share: int
    allows: bool = True
    loses_journal: bool = False


_OWN = "test_key_rings or test_aliases or test_registrations or test_kmip or test_restore"
_SHARED = "test_instance_policies or test_allowed_ip or test_dual_details or test_import_tokens"
KINDS = {
    "gate": Kind(("-k", _OWN), 40, allows=False),
    "allow": Kind(("-k", _SHARED), 50),
    "workers": Kind(("-k", f"{_OWN} or {_SHARED}", "-n", "2"), 40),
    "jobs": Kind(("-k", f"{_OWN} or {_SHARED}", "--jobs", "16"), 40),
    "fuzz": Kind(("-k", "fuzz", "--max-examples", "2"), 20),
    "lost journal": Kind(("-k", _OWN), 10, allows=False, loses_journal=True),
}


class Instance:
    """One shared instance, as its owner's own tools see it."""

    def __init__(self, target: dict[str, Any]) -> None:
        self.id = str(uuid.uuid4())
        self._target = target
        self._http = httpx.Client(base_url=f"{target['base_url']}/api/v2", timeout=30)
        self._sign_in()

    def _sign_in(self) -> None:
        form = {"grant_type": _GRANT, "apikey": self._target["identities"]["manager"]["api_key"]}
        token = httpx.post(self._target["iam"]["url"], data=form).json()["access_token"]
        self._http.headers.update({"authorization": f"Bearer {token}", "bluemix-instance": self.id})

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self._http.request(method, path, **more)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            # The clock was moved since: the runs do that, and what a killed one had sent may take effect later.
            self._sign_in()
            answer = self._http.request(method, path, **more)
        if answer.is_error:
            sys.exit(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json()) if answer.content else {}

    def _post(self, path: str, kind: str, resource: dict[str, Any]) -> dict[str, Any]:
        body = {"metadata": {"collectionType": kind, "collectionTotal": 1}, "resources": [resource]}
        return self._ask("POST", path, json=body)

    def fill(self) -> int:
        """Make 50 things of others and a policy; return how many things there are."""
        names = list(itertools.islice(itertools.cycle(NAMES), 30))
        keys = [
            self._post("/keys", KEY, {"type": KEY, "name": name, "extractable": False})["resources"][0]["id"]
            for name in names
        ]
        for number, key in enumerate(keys[:8]):
            self._ask("POST", f"/keys/{key}/aliases/kmsct-alias-of-others-{number}")
        for number in range(8):
            self._ask("POST", f"/key_rings/kmsct-deadbeef-ring-{number}")
        for number in range(4):
            profile = {"crk_id": keys[number]}
            adapter = {
                "name": f"kmsct-others-{number}",
                "profile": "native_1.0",
                "profile_data": profile,
            }
            self._post("/kmip_adapters", ADAPTER, adapter)
        policy = {
            "policy_type": "keyCreateImportAccess",
            "policy_data": {
                "enabled": True,
                "attributes": {
                    "create_root_key": True,
                    "create_standard_key": True,
                    "import_root_key": True,
                    "import_standard_key": True,
                    "enforce_token": False,
                },
            },
        }
        body = {"metadata": {"collectionType": POLICY, "collectionTotal": 1}, "resources": [policy]}
        self._ask("PUT", "/instance/policies", params={"policy": "keyCreateImportAccess"}, json=body)
        return len(self.things()) - 1

    def things(self) -> dict[str, Any]:
        """Return all that stands on the instance, each thing with what lists show of it, and the policies under ``""``."""
        things: dict[str, Any] = {}
        for key in self._listed("/keys", limit=5000, state="0,1,2,3"):
            things[f"key {key['id']} {key['name']}"] = key
            things |= {f"alias {alias}": key["id"] for alias in key.get("aliases", ())}
        things |= {
            f"ring {ring['id']}": ring for ring in self._listed("/key_rings") if ring["id"] != "default"
        }
        things |= {f"adapter {one['name']}": one for one in self._listed("/kmip_adapters")}
        policies = self._listed("/instance/policies")
        things[""] = {
            one["policy_type"]: one["policy_data"] for one in policies if one["policy_data"]["enabled"]
        }
        return things

    def _listed(self, path: str, **params: Any) -> list[dict[str, Any]]:
        return list(self._ask("GET", path, params=params).get("resources", []))


def write_target(folder: Path, text: str, proxy: KillingProxy, instance: Instance, kind: Kind) -> Path:
    """Write the target of one run: the shared instance, reached by the proxy."""
    text = re.sub(r'base_url = ".*"', f'base_url = "{proxy.base_url}"', text, count=1)
    text = text.partition("[hpcs_tke]")[0].replace('instance = "fresh"', f'instance = "{instance.id}"')
    if not kind.allows:
        text = re.sub(r"\[allow\]\n(?:\w+ = true\n)*", "", text)
    path = folder / "target.toml"
    path.write_text(text)
    return path


def run_until(folder: Path, target: Path, kind: Kind, proxy: KillingProxy) -> int:
    """Run until the proxy kills the run, or to its end; return the exit code."""
    journal = ("--journal", str(folder / "journal.sqlite"), "--report-dir", str(folder / "report"))
    command = [*PROGRAM, "run", "--quiet", "--target", str(target), *journal, *kind.arguments]
    with (folder / "output.txt").open("ab") as output:
        proxy.victim = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            return proxy.victim.wait(_LONGEST)
        finally:
            victim, proxy.victim = proxy.victim, None
            victim.kill()
            victim.wait()


def sweep(folder: Path, target: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Sweep what the run has left."""
    journal = ("--journal", str(folder / "journal.sqlite"))
    command = [*PROGRAM, "sweep", "--yes", "--target", str(target), *journal, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LONGEST)


def requests_of(text: str, instance: Instance, kind: Kind) -> int:
    """Return how many requests a whole run of a kind sends."""
    with tempfile.TemporaryDirectory() as name, KillingProxy(instance_url(text), _NEVER) as proxy:
        folder = Path(name)
        code = run_until(folder, write_target(folder, text, proxy, instance, kind), kind, proxy)
        if code not in {0, 3}:
            sys.exit(f"a whole run ended with {code}:\n{(folder / 'output.txt').read_text()}")
        return _NEVER - proxy.left


def instance_url(text: str) -> str:
    """Return where the served reference is reached."""
    return str(tomllib.loads(text)["base_url"])


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return a line for each thing that was left, lost or changed."""
    left = [f"left behind: {name}" for name in after.keys() - before.keys()]
    lost = [f"lost: {name}" for name in before.keys() - after.keys()]
    changed = [
        f"changed: {name or 'policies'}: {before[name]} is now {after[name]}"
        for name in before.keys() & after.keys()
        if before[name] != after[name]
    ]
    return sorted(left + lost + changed)


def try_point(text: str, instance: Instance, kind: Kind, at: int, *, after: bool) -> tuple[bool, list[str]]:
    """Kill one run at its n-th request and sweep; return whether it was killed, and what is not as before."""
    before = instance.things()
    with tempfile.TemporaryDirectory() as name, KillingProxy(instance_url(text), at, after=after) as proxy:
        folder = Path(name)
        target = write_target(folder, text, proxy, instance, kind)
        code = run_until(folder, target, kind, proxy)
        words = ("--by-name",) if kind.loses_journal else ()
        if kind.loses_journal:
            for path in folder.glob("journal.sqlite*"):
                path.unlink()
        swept = sweep(folder, target, *words)
        wrong = [] if swept.returncode == 0 else [f"sweep ended with {swept.returncode}: {swept.stderr}"]
        return code < 0, wrong + differences(before, instance.things())


def points(requests: int, number: int) -> list[int]:
    """Return so many places between the first and the last request."""
    return sorted({1 + (2 * place + 1) * (requests - 1) // (2 * number) for place in range(number)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all points; print a line for each kind and for each difference."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=200, metavar="N", help="points of all kinds together")
    parser.add_argument("--only", choices=KINDS, metavar="KIND", help="one kind of run")
    options = parser.parse_args(arguments)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as text:
        instance = Instance(tomllib.loads(text))
        click.echo(f"{instance.fill()} things of others")
        for title, kind in KINDS.items():
            if options.only not in {None, title}:
                continue
            number = max(1, round(kind.share * options.points / 200))
            requests = requests_of(text, instance, kind)
            counted: Counter[str] = Counter()
            for place, at in enumerate(points(requests, number)):
                killed, wrong = try_point(text, instance, kind, at, after=bool(place % 2))
                counted.update(killed=int(killed), whole=int(not killed), wrong=int(bool(wrong)))
                for line in wrong:
                    click.echo(f"{title}, request {at} of {requests}: {line}")
                if place % _TOLD == _TOLD - 1:
                    click.echo(f"{title}: {place + 1} of {number} points, {counted['wrong']} wrong")
            click.echo(f"{title}: {requests} requests, {dict(counted)}")
            total.update(counted)
    click.echo(
        f"{total['killed']} runs killed, {total['whole']} came to their end first, {total['wrong']} wrong"
    )
    return int(bool(total["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
