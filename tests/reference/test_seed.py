"""Keys to begin with, the fixture for those who test their programs, and what their clients need."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kms_reference.errors import SeedFileError, ServerError
from kms_reference.seed import read_seeds
from kms_reference.server import Server

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
SEEDS = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "instances:" in block)
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
INSTANCE = "7f1d1c4e-0000-4000-8000-000000000000"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Return the page's seed file."""
    path = tmp_path / "seeds.yaml"
    path.write_text(SEEDS, encoding="utf-8")
    return path


def ask(server: Server, path: str, instance: str = INSTANCE) -> Any:
    """Ask a server as its manager; return the answer's document."""
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": server.api_keys["manager"]}
    token = httpx.post(server.iam_url, data=form, trust_env=False).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "bluemix-instance": instance}
    return httpx.get(f"{server.base_url}/api/v2/{path}", headers=headers, trust_env=False).json()


def names(document: Any) -> list[str]:
    """Return the names of listed keys."""
    return sorted(key["name"] for key in document.get("resources", ()))


def test_seeds(seeds: Path) -> None:
    """The page's example makes its keys, with aliases and material, and leaves other instances empty."""
    with Server(edition="service", seed=seeds) as server:
        assert names(ask(server, "keys")) == ["a standard key", "imported", "orders"]
        by_alias = ask(server, "keys/orders-key")["resources"][0]
        assert (by_alias["name"], by_alias["extractable"], by_alias["imported"]) == ("orders", False, False)
        assert names(ask(server, "keys", str(uuid.uuid4()))) == []


def test_seeds_beside_a_data_file(seeds: Path, tmp_path: Path) -> None:
    """An instance that has keys already is left as it is."""
    for _ in range(2):
        with Server(data=tmp_path / "state.sqlite", seed=seeds) as server:
            assert len(names(ask(server, "keys"))) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "cannot be read"),
        ("keys: []", "has no table instances"),
        (f"instances: {{{INSTANCE}: [{{alias: a}}]}}", "it needs a name"),
        (f"instances: {{{INSTANCE}: [{{name: ab, colour: red}}]}}", "it needs a name and may have"),
        (f"instances: {{{INSTANCE}: 7}}", "it needs a name"),
    ],
)
def test_wrong_seed_files(text: str, says: str, tmp_path: Path) -> None:
    """A seed file of another form is refused with what is wrong with it."""
    path = tmp_path / "seeds.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SeedFileError, match=says):
        read_seeds(path)


def test_refused_seed(tmp_path: Path) -> None:
    """A key that the server refuses ends its start, by the name of the key."""
    path = tmp_path / "seeds.yaml"
    path.write_text(f"instances: {{{INSTANCE}: [{{name: ab, payload: no base64}}]}}", encoding="utf-8")
    with pytest.raises(SeedFileError, match="'ab'"), Server(seed=path):
        pass


def test_command_line(command: Callable[..., Any], tmp_path: Path) -> None:
    """A wrong seed file is a usage error with a hint."""
    ended = command("serve", "--port", "0", "--seed-file", str(tmp_path / "missing.yaml"))
    assert ended.code == 2
    assert "--seed-file" in ended.err
    assert "docs/emulator.md" in ended.err


def test_the_pages_example(tmp_path: Path) -> None:
    """The example of the page is a passing test, by the fixture that comes with the package."""
    (tmp_path / "test_example.py").write_text(EXAMPLE, encoding="utf-8")
    arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"]
    ended = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_clock() -> None:
    """A test moves the clock of an instance; without a clock to move, it is told so."""
    with Server() as server:
        assert server.server_state is not None
        before = server.server_state.instance(INSTANCE).now()
        server.advance(INSTANCE, 3600)
        assert 3600 <= server.server_state.instance(INSTANCE).now() - before < 3660
        with pytest.raises(ServerError, match="cannot be moved"):
            server.advance("no-instance", 1)
    with pytest.raises(ServerError, match="before it is started"):
        Server().advance(INSTANCE, 1)


@pytest.mark.parametrize(("edition", "listed"), [("page", []), ("service", ["orders"])])
def test_comma_at_the_end_of_a_search(edition: str, listed: list[str], seeds: Path) -> None:
    """Edition `service` leaves the comma out that the vendor's Go client ends each search with."""
    with Server(edition=edition, seed=seeds) as server:
        assert names(ask(server, "keys?search=orders,")) == listed
        assert names(ask(server, "keys?search=orders")) == ["orders"]
