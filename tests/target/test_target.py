"""The target: a file, overlaid by the environment, overlaid by flags; every key can be given in each of the ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kms_conformance.cli.flags import flags_document, target_options
from kms_conformance.errors import MissingSecretError, SuiteError
from kms_conformance.target.schema import target_schema
from kms_conformance.target.target import Target, build_target, read_target
from kms_conformance.target.urls import is_loopback
from kms_conformance.target.values import FRESH
from kms_reference.server import Server

INSTANCE = "7f1d1c4e-0000-4000-8000-000000000000"
SCHEMA = target_schema()
VALUES: Mapping[str, Any] = {
    "base_url": "http://127.0.0.1:7",
    "contract": "key_protect",
    "instance": INSTANCE,
    "rescue_url": "http://127.0.0.1:8",
    "requests_per_second": 3.5,
    "max_wait": 12.0,
    "timeout": 4.5,
    "patience": 7.5,
    "url": "http://127.0.0.1:6",
    "kms_url": "http://127.0.0.1:5",
    "account": "123456789012",
}
OTHERS = ("aws_kms", "hpcs_tke", "iks")


def leaves(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every place of the schema that holds a value."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if schema.get("type") != "object":
        yield path
        return
    for name, part in schema.get("properties", {}).items():
        yield from leaves(part, (*path, name))
    for name in schema.get("propertyNames", {}).get("enum", ()):
        yield (*path, name)


# Values of the two tables go together, and name files: tests/transport/test_tls_and_proxies.py has them.
PLACES = [place for place in leaves(SCHEMA) if place[0] not in {"tls", "proxy"}]


def put(document: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return the document with a value at a place."""
    inner = document
    for step in place[:-1]:
        inner = inner.setdefault(step, {})
    inner[place[-1]] = value
    return document


def basis() -> dict[str, Any]:
    """Return the least that a target needs."""
    return {"base_url": "http://127.0.0.1:9", "instance": "fresh", "iam": {"url": "http://127.0.0.1:9"}}


def in_file(place: tuple[str, ...], folder: Path) -> tuple[Any, dict[str, str]]:
    """Return a value for a place of the file, and the environment that it needs."""
    if place[0] == "identities":
        (folder / "secret").write_text("a-secret-of-somebody")
        return {"env": "VARIABLE", "ile": str(folder / "secret")}.get(
            place[-1][-3:], "a-secret-of-somebody"
        ), {"VARIABLE": "a-secret-of-somebody"}
    if place[0] in {"allow", "capabilities"}:
        return True, {}
    return VALUES.get(place[-1], f"some-{place[-1]}"), {}


def variable_of(place: tuple[str, ...]) -> str:
    """Return the name of the environment variable that stands for a place."""
    match place:
        case ("identities", name, member):
            stem = "KMS" if name == "manager" else f"KMS_{name.upper()}"
            return f"{stem}_{member.removesuffix('_env').upper()}"
        case ("allow" | "capabilities" as table, _):
            return f"KMS_{table.upper()}"
        case ("limits", name):
            return f"KMS_{name.upper()}"
    return f"KMS_{'_'.join(place).upper()}"


def flag_of(place: tuple[str, ...], value: Any) -> list[str]:
    """Return the command-line arguments that stand for a value at a place."""
    match place:
        case ("identities", name, member):
            return ["--identity", f"{name}.{member}={value}"]
        case ("allow", name):
            return ["--allow", name]
        case ("capabilities", name):
            return ["--capability", name]
        case ("limits", name):
            return [f"--{name.replace('_', '-')}", str(value)]
    return [f"--{'-'.join(place).replace('_', '-')}", str(value)]


def by_flags(arguments: list[str]) -> dict[str, Any]:
    """Return the document that these arguments make."""
    document: dict[str, Any] = {}

    @click.command()
    @target_options
    def command(**flags: Any) -> None:
        document.update(flags_document(flags))

    ended = CliRunner().invoke(
        command, arguments, env={"KMS_TARGET": None, "KMS_CONTRACT": None}, catch_exceptions=False
    )
    assert ended.exit_code == 0, ended.output
    return document


def seen(target: Target, place: tuple[str, ...]) -> Any:
    """Return what a target holds at a place."""
    match place:
        case ("identities", name, _):
            return next(iter(target.identities[name].secrets().values()))
        case ("allow" | "capabilities" as table, name):
            return getattr(target, table)[name]
        case ("limits", name):
            return getattr(target, name)
        case ("iam" | "control" as table, "url"):
            return getattr(target, f"{table}_url")
        case (table, name):
            return target.others[table][name]
    return getattr(target, place[0])


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_every_key_has_a_variable_and_a_flag(place: tuple[str, ...], tmp_path: Path) -> None:
    """A value in the file, in the environment and as a flag makes the same target."""
    value, environ = in_file(place, tmp_path)
    # A table of another system has an address of its own, without which it is not looked at.
    start = {**basis(), place[0]: {"base_url": "http://127.0.0.1:9"}} if place[0] in OTHERS else basis()
    wanted = "a-secret-of-somebody" if place[0] == "identities" else value
    by_file = build_target(put({**start}, place, value), environ)
    assert seen(by_file, place) == wanted
    file = tmp_path / "target.toml"
    file.write_text(
        'base_url = "http://127.0.0.1:9"\ninstance = "fresh"\n[iam]\nurl = "http://127.0.0.1:9"\n'
        + (f'[{place[0]}]\nbase_url = "http://127.0.0.1:9"\n' if place[0] in OTHERS else "")
    )
    given = {"KMS_ALLOW": place[-1], "KMS_CAPABILITIES": place[-1]}.get(variable_of(place), str(value))
    if place[0] == "identities" and not place[-1].endswith("_file"):
        given = "a-secret-of-somebody"
    assert read_target(str(file), {}, {variable_of(place): given}) == by_file
    assert read_target(str(file), by_flags(flag_of(place, value)), environ) == by_file


def test_flags_beat_environment_beats_file(tmp_path: Path) -> None:
    """Flags weigh most, then the environment, then the file; what nobody says keeps its default."""
    file = tmp_path / "target.toml"
    file.write_text(
        f'base_url = "http://127.0.0.1:1"\ninstance = "{INSTANCE}"\n[limits]\nmax_wait = 1\ntimeout = 1\nrequests_per_second = 1\n'
    )
    environ = {"KMS_BASE_URL": "http://127.0.0.1:2", "KMS_MAX_WAIT": "2", "KMS_TIMEOUT": "2"}
    target = read_target(str(file), {"base_url": "http://127.0.0.1:3", "limits": {"max_wait": 3}}, environ)
    assert (target.base_url, target.max_wait, target.timeout) == ("http://127.0.0.1:3", 3, 2)
    assert (target.requests_per_second, target.instance, target.contract) == (1, INSTANCE, "key_protect")


def test_an_identity_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Two sources of one identity never mix: a token by flag puts the file's API key out of use."""
    file = tmp_path / "target.toml"
    file.write_text(
        'base_url = "http://127.0.0.1:1"\ninstance = "fresh"\n[iam]\nurl = "http://127.0.0.1:1"\n'
        '[identities.manager]\napi_key = "of-the-file"\n[identities.reader]\napi_key = "of-the-reader"\n'
    )
    target = read_target(str(file), {}, {"KMS_TOKEN": "of-the-environment"})
    manager = target.identities["manager"]
    assert (manager.api_key, manager.token) == (None, "of-the-environment")
    assert target.identities["reader"].api_key == "of-the-reader"
    flagged = read_target(
        str(file), by_flags(["--token", "of-the-flag"]), {"KMS_TOKEN": "of-the-environment"}
    )
    assert flagged.identities["manager"].token == "of-the-flag"


@pytest.mark.parametrize("member", ["token", "api_key"])
@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("http://kms.localhost", True),
        ("https://kms.example.test", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.test", False),
        ("http://localhost.example.test", False),
        ("http://0.0.0.0:1", False),
    ],
)
def test_literal_secrets_are_for_loopback(url: str, *, taken: bool, member: str) -> None:
    """A literal secret in the file is accepted for this machine only; one by variable or flag everywhere."""
    assert is_loopback(url) is taken
    document = {"base_url": url, "instance": "fresh", "iam": {"url": "https://iam.example.test"}}
    literal = {**document, "identities": {"manager": {member: "literal"}}}
    if taken:
        assert build_target(literal, {}).identities["manager"]
    else:
        with pytest.raises(MissingSecretError, match="loopback addresses only"):
            build_target(literal, {})
    for entry in ({f"{member}_env": "X"}, {f"{member}_flag": "given"}):
        assert build_target({**document, "identities": {"manager": entry}}, {"X": "given"}).identities[
            "manager"
        ]


def test_hosts_that_see_tokens_in_clear() -> None:
    """A service by http is named, unless it is on this machine; so are the token issuer and the other contracts' services."""
    target = Target("http://kms.example.test", FRESH, iam_url="https://iam.example.test")
    assert target.in_clear == ("kms.example.test",)
    assert replace(target, base_url="http://127.0.0.1:8080").in_clear == ()
    other = replace(target, iam_url="http://iam.example.test", others={"iks": {"base_url": "http://[::1]:1"}})
    assert other.in_clear == ("iam.example.test", "kms.example.test")


def test_bearer_in_front_of_a_token() -> None:
    """A token that was copied with its scheme works all the same."""
    document = {**basis(), "identities": {"manager": {"token": "Bearer abc.def.ghi"}}}
    assert build_target(document, {}).identities["manager"].token == "abc.def.ghi"


def test_rate_by_default() -> None:
    """Somebody else's endpoint is asked gently; this machine's as fast as it answers."""
    assert build_target(basis(), {}).requests_per_second is None
    assert build_target({**basis(), "base_url": "https://kms.example.test"}, {}).requests_per_second == 20


def test_nothing_shows_a_secret() -> None:
    """Neither the target's text nor what reports tell of it holds a secret."""
    target = build_target({**basis(), "identities": {"manager": {"api_key": "the-secret"}}}, {})
    assert "the-secret" not in f"{target!r} {target} {target.public()} {target.identities}"
    assert target.document()["identities"]["manager"]["api_key"] == "the-secret"


def test_document_round_trip(reference: Server, target_file: Path) -> None:
    """What a worker is handed makes the same target again."""
    target = read_target(str(target_file), {}, {})
    assert build_target(target.document(), {}) == target
    assert target.base_url == reference.base_url


@pytest.mark.parametrize(
    "text",
    ["", "[limits]", 'base_url = ""', "base_url = 'http://'", "instance = 1", "\ufeffx = 1", "a.b.c = 1"],
)
def test_any_nonsense_is_a_user_error(text: str, tmp_path: Path) -> None:
    """Whatever a file holds, what comes out is an error for people."""
    file = tmp_path / "target.toml"
    file.write_text(text)
    with pytest.raises(SuiteError) as caught:
        read_target(str(file), {}, {})
    assert caught.value.sentence
    assert caught.value.hint
    assert caught.value.exit_code == 2
    file.write_bytes(b"\xff\xfe" + text.encode())
    with pytest.raises(SuiteError, match="UTF-8"):
        read_target(str(file), {}, {})


def test_one_contract_of_a_target_of_two() -> None:
    """Where a target of one system is judged by another one alone, the instance of the first says nothing of the second."""
    document = {
        "base_url": "http://127.0.0.1:9",
        "instance": INSTANCE,
        "contract": "aws_kms",
        "identities": {"principal": {"access_key_id": "a", "secret_access_key": "b"}},
        "aws_kms": {"base_url": "http://127.0.0.1:10"},
    }
    assert build_target(document, {}).seen_by("aws_kms").base_url == "http://127.0.0.1:10"
