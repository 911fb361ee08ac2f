"""What a user can get wrong ends in one sentence with the offending value, a hint and the right exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.cli import main

INSTANCE = "7f1d1c4e-0000-4000-8000-000000000000"
KEY = "s3cr3t-api-key-that-nobody-may-read-0123456789"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlXzAxMjM0NTY3"
BASE = f'base_url = "http://127.0.0.1:9"\ninstance = "{INSTANCE}"\n'
MANAGER = f'[identities.manager]\ntoken = "{KEY}"\n'
GOOD = BASE + MANAGER
PROXIED = f'{GOOD}[proxy]\nurl = "http://127.0.0.1:9"\n'
REMOTE = BASE.replace("http://127.0.0.1:9", "https://kms.example.test")

# name, text of the target file (None: no file), arguments, exit code, what the first line says, what the hint says
ERRORS: list[tuple[str, str | None, list[str], int, str, str]] = [
    ("no file", None, ["--target", "nowhere.toml"], 2, "'nowhere.toml' cannot be used: there is no such file", ""),
    ("a folder", None, ["--target", "."], 2, "'.' cannot be used", ""),
    ("not TOML", "base_url = [\n", [], 2, "it is not TOML", ""),
    ("a secret in broken TOML", f"{BASE}[identities.manager]\ntoken = {KEY}\n", [], 2, "it is not TOML", ""),
    ("number of 5,000 digits", f"{GOOD}[limits]\nmax_wait = {'1' * 5000}\n", [], 2, "a value in it is too large", ""),
    ("lists in lists in lists", f"{GOOD}[limits]\nmax_wait = {'[' * 5000}\n", [], 2, "a value in it is too large", ""),
    ("base_url that is a list", GOOD.replace('"http://127.0.0.1:9"', '["http://me:sesame@127.0.0.1:9"]'), [], 2, "base_url is \"['http://…@127.0.0.1:9']\": it must be text", ""),
    ("password of a proxy instead of its variable", f'{PROXIED}user = "me"\npassword_env = "open sesame"\n', [], 2, "proxy.password_env is '…': the variable is not set", ""),
    ("password of a proxy behind its user", f'{PROXIED}user = "me:open sesame"\n', [], 2, "proxy.user is '…': user and password go together", "password_env"),
    ("certificate instead of its file", f'{GOOD}[tls]\nca_file = """-----BEGIN\nab/cd/ef"""\n', [], 2, "tls.ca_file is '…': there is no such file", "PEM"),
    ("unknown key", f"{GOOD}[limit]\nmax_wait = 1\n", [], 2, "unknown key 'limit'", "did you mean 'limits'"),
    ("unknown inner key", f"{GOOD}[limits]\nmax_wiat = 1\n", [], 2, "unknown key 'limits.max_wiat'", "'limits.max_wait'"),
    ("unknown identity", f'{GOOD}[identities.admin]\ntoken = "{KEY}"\n', [], 2, "unknown key 'identities.admin'", "known here"),
    ("unknown member", f'{GOOD}[identities.reader]\napikey = "{KEY}"\n', [], 2, "'identities.reader.apikey'", "api_key"),
    ("unknown capability", f"{GOOD}[capabilities]\nkimp = true\n", [], 2, "unknown key 'capabilities.kimp'", "kmip"),
    ("unknown permission", f"{GOOD}[allow]\neverything = true\n", [], 2, "unknown key 'allow.everything'", "known here"),
    ("switch that is none", f'{GOOD}[allow]\nraw = "yes"\n', [], 2, "allow.raw is 'yes': it must be true or false", ""),
    ("no base_url", f'instance = "{INSTANCE}"\n', [], 2, "it has no base_url", ""),
    ("base_url that is none", GOOD.replace("http://127.0.0.1:9", "kms.example.test"), [], 2, "base_url is 'kms.example.test'", "looks like https://"),
    ("ftp", GOOD.replace("http:", "ftp:"), [], 2, "no http or https URL", ""),
    ("bad port", GOOD.replace(":9", ":99999"), [], 2, "that is no URL", ""),
    ("bad IPv6", GOOD.replace("127.0.0.1", "[::1"), [], 2, "that is no URL", ""),
    ("secret in the URL", GOOD.replace("127", f"me:{KEY}@127"), [], 2, "a URL may not carry a secret", ""),
    ("secret in the query", GOOD.replace(":9", f":9/?apikey={KEY}"), [], 2, "must not have a query", ""),
    ("secret in a bad URL", GOOD.replace("127", f"me:{KEY}@[127"), [], 2, "that is no URL", ""),
    ("blank in the URL", GOOD.replace("127", "127 "), [], 2, "no http or https URL", ""),
    ("base_url as number", GOOD.replace('"http://127.0.0.1:9"', "9"), [], 2, "base_url is '9': it must be text", ""),
    ("instance that is none", GOOD.replace(INSTANCE, "my-instance"), [], 2, "instance is 'my-instance': that is not the UUID of the instance", "fresh"),
    ("instance in braces", GOOD.replace(INSTANCE, f"{{{INSTANCE}}}"), [], 2, "UUID of the instance in its usual form", "fresh"),
    ("no instance", 'base_url = "http://127.0.0.1:9"\n' + MANAGER, [], 2, "instance is '': it is missing", "fresh"),
    ("no identity", BASE, [], 2, "The identity 'manager' has no token", "KMS_TOKEN"),
    ("identity without secret", f"{BASE}[identities.manager]\n", [], 2, "'manager' has no token: the table names none", "token_env"),
    ("identity that is no table", f'{BASE}identities = "{KEY}"\n', [], 2, "it must be a table", ""),
    ("manager that is no table", f'{BASE}[identities]\nmanager = "{KEY}"\n', [], 2, "it must be a table", ""),
    ("variable that is not set", f'{BASE}[identities.manager]\ntoken_env = "KMS_NOWHERE"\n', [], 2, "the environment variable KMS_NOWHERE that token_env names is not set", ""),
    ("secret instead of its variable", f'{BASE}[identities.manager]\ntoken_env = "{KEY}"\n', [], 2, "the environment variable that token_env names is not set", ""),
    ("secret file that is not there", f'{BASE}[identities.manager]\ntoken_file = "nowhere"\n', [], 2, "the file 'nowhere' cannot be read", ""),
    ("literal token elsewhere", REMOTE + MANAGER, [], 2, "a literal token is accepted for loopback addresses only", "token_env"),
    ("literal key elsewhere", f'{REMOTE}[iam]\nurl = "https://iam.example.test"\n[identities.manager]\napi_key = "{KEY}"\n', [], 2, "a literal api_key is accepted for loopback addresses only", ""),
    ("token with a line break", f'{BASE}[identities.manager]\ntoken = "{KEY}\\n{KEY}"\n', [], 2, "signs that no header can carry", ""),
    ("a key and a token", f'{GOOD}api_key = "{KEY}"\n[iam]\nurl = "http://127.0.0.1:9"\n', [], 2, "identities.manager is 'token, api_key': it has an API key and a token", "leave one of them out"),
    ("token that is a list", f'{BASE}[identities.manager]\ntoken = ["{KEY}"]\n', [], 2, "identities.manager.token is '…': it must be a text, and it is a list", "in quotes"),
    ("key that is a table", f'{BASE}[identities.manager.api_key_env]\nname = "{KEY}"\n', [], 2, "identities.manager.api_key_env is '…': it must be a text, and it is a table", "in quotes"),
    ("key without issuer", f'{BASE}[identities.manager]\napi_key = "{KEY}"\n', [], 2, "an API key needs a token issuer", "--iam-url"),
    ("way out that is the way in", GOOD, ["--rescue-url", "http://127.0.0.1:9/"], 2, "rescue_url is 'http://127.0.0.1:9': it is no other way in", "private endpoint"),
    ("number that is none", f'{GOOD}[limits]\nmax_wait = "long"\n', [], 2, "limits.max_wait is 'long': that is no number", ""),
    ("negative wait", f"{GOOD}[limits]\nmax_wait = -1\n", [], 2, "limits.max_wait is '-1': it must be at least 0", ""),
    ("no rate at all", f"{GOOD}[limits]\nrequests_per_second = 0\n", [], 2, "it must be above 0", ""),
    ("no time at all", f"{GOOD}[limits]\nrequests_per_second = nan\n", [], 2, "it must be above 0", ""),
    ("unknown contract", GOOD.replace("instance", 'contract = "kmip"\ninstance', 1), [], 2, "contract is 'kmip'", "key_protect"),
    ("contracts with blanks", GOOD, ["--contract", "iks, kmip"], 2, "contract is 'kmip'", "key_protect"),
    ("unknown contract by flag", GOOD, ["--contract", "kmip"], 2, "contract is 'kmip'", "key_protect"),
    ("nobody there", GOOD, [], 4, "The endpoint http://127.0.0.1:9 cannot be judged: no connection (nothing listens at 127.0.0.1 port 9)", "base_url"),
    ("unknown host", GOOD.replace("http://127.0.0.1:9", "http://nowhere.invalid").replace(f'token = "{KEY}"', 'token_env = "T"'), [], 4, "http://nowhere.invalid cannot be judged", ""),
    ("issuer not there", f'{BASE}[iam]\nurl = "http://127.0.0.1:9"\n[identities.manager]\napi_key = "{KEY}"\n', [], 4, "The token issuer http://127.0.0.1:9 gave no token for the identity 'manager'", "[iam] url"),
    ("flag without endpoint", None, ["--instance", INSTANCE], 2, "no endpoint is named", "--base-url"),
    ("defect with a target", GOOD, ["--defect", "deleted-twice"], 2, "only the embedded reference can be broken", "serve --defect"),
    ("unknown defect", None, ["--defect", "deleted-twise"], 2, "--defect is 'deleted-twise'", "did you mean 'deleted-twice'?"),
    ("identity flag without value", GOOD, ["--identity", KEY], 2, "--identity is '…'", "KMS_APPROVER_API_KEY"),
    ("identity flag with a secret", GOOD, ["--identity", f"reader={KEY}"], 2, "'reader' has no token", ""),
    ("token for a URL", GOOD, ["--base-url", JWT], 2, "base_url is '….….…': that is no http or https URL", ""),
    ("key for a port", GOOD, ["--base-url", f"http://h:{KEY}"], 2, "base_url is 'http://h:…': that is no URL", ""),
    ("key for the instance", GOOD, ["--instance", KEY], 2, "instance is '…': that is not the UUID", "fresh"),
    ("key for the target", None, ["--target", KEY], 2, "The target file '…' cannot be used", ""),
    ("JSON for the target", None, ["--target", f'{{"apikey": "{KEY}"}}'], 2, "'{\"apikey\": \"…\"}'", ""),
    ("key for an identity", GOOD, ["--identity", f"{KEY}=="], 2, "--identity is '…'", ""),
    ("key for a key", GOOD, ["--identity", f"reader.{KEY}=x"], 2, "--identity is 'reader.…'", "KMS_APPROVER_API_KEY"),
    ("key for its file", GOOD, ["--identity", f"reader.api_key_file={KEY}"], 2, "the file '…' cannot be read", ""),
    ("key for its variable", GOOD, ["--identity", f"reader={KEY.upper().replace('-', '_')}"], 2, "the environment variable … that api_key_env names", ""),
    ("key for a contract", GOOD, ["--contract", KEY], 2, "contract is '…'", "key_protect"),
    ("key for a permission", GOOD, ["--allow", KEY], 2, "allow is '…': there is no such name", "instance_policies"),
    ("key for a number", f'{GOOD}[limits]\nmax_wait = "{KEY}"\n', [], 2, "limits.max_wait is '…'", ""),
    ("key for processes", GOOD, ["-n", KEY], 2, "-n is '…': that is no number of processes", "-n 2"),
    ("key for a shard", GOOD, ["--shard", KEY], 2, "--shard is '…'", ""),
    ("unknown identity by flag", GOOD, ["--identity", "admin=KMS_X"], 2, "--identity is 'admin': there is no such identity", ""),
    ("unknown capability by flag", GOOD, ["--capability", "kimp"], 2, "capabilities is 'kimp': there is no such name", "kmip"),
    ("unknown permission by flag", GOOD, ["--allow", "everything"], 2, "allow is 'everything': there is no such name", "known: "),
    ("processes that are none", GOOD, ["-n", "many"], 2, "-n is 'many': that is no number of processes", "-n 2"),
    ("finding that is none", GOOD, ["--replay", "last"], 2, "--replay is 'last': that is neither an id nor a JSON file", "report"),
    ("finding that is not there", GOOD, ["--replay", "no.json"], 2, "--replay is 'no.json': there is no such file", "report"),
    ("journal that is a folder", GOOD, ["--journal", "."], 2, "The journal '.' cannot be used: Is a directory", "--journal"),
    ("journal that is none", GOOD, ["--journal", "target.toml"], 2, "The journal 'target.toml' cannot be used: it is no journal", "--journal"),
    ("report folder that is a file", GOOD, ["--report-dir", "target.toml"], 2, "target.toml", ""),
]  # fmt: skip


# These run in a process of their own; the others, to save time, by the same entry point in this one.
REAL = {
    "no file",
    "unknown key",
    "no identity",
    "base_url that is none",
    "instance that is none",
    "nobody there",
}


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Return a function that runs the command line's entry point in this process."""
    from commands import Ended  # noqa: PLC0415 - found by a path that the conftest sets

    handler = signal.getsignal(signal.SIGTERM)
    for name in [name for name in os.environ if name.startswith("KMS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environ: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["kms-conformance", *arguments])
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize("error", ERRORS, ids=[error[0] for error in ERRORS])
def test_error(
    error: tuple[str, str | None, list[str], int, str, str],
    command: Callable[..., Any],
    here: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """One sentence with the offending value, a hint, the exit code of the design; no traceback and no secret."""
    name, text, arguments, code, says, hint = error
    if text is not None:
        (tmp_path / "target.toml").write_text(text)
        arguments = ["--target", "target.toml", *arguments]
    ended = (command if name in REAL else here)("run", *arguments, "--timeout", "2", T=KEY)
    assert ended.code == code, ended.output
    lines = [line for line in ended.err.splitlines() if line]
    assert lines[0].startswith("error: "), name
    assert says in lines[0]
    assert lines[0].endswith((".", "?"))
    assert lines[1].startswith("hint: ")
    assert hint in lines[1]
    assert len(lines) == 2
    assert ended.out == ""
    assert "Traceback" not in ended.output
    assert KEY not in ended.output
    assert JWT not in ended.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--max-wait", KEY],
        ["run", KEY],
        [KEY],
        ["run", f"--{KEY}"],
        ["run", "--profile", KEY],
        ["judge", KEY],
    ],
    ids=["number", "more than there is", "command", "flag", "choice", "folder"],
)
def test_secret_in_wrong_usage(arguments: list[str], here: Callable[..., Any]) -> None:
    """A secret in a place where nothing of the kind belongs is not repeated."""
    ended = here(*arguments)
    assert ended.code == 2
    assert "…" in ended.err
    assert KEY not in ended.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--no-such-flag"], "No such option '--no-such-flag'"),
        (["run", "--max-wait", "long"], "'long' is not a valid float"),
        (["run", "--profile", "strict"], "'strict' is not one of"),
        (["rnu"], "No such command 'rnu'"),
        (["explain"], "Missing argument"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, command: Callable[..., Any]) -> None:
    """What is no valid command line is refused with exit code 2."""
    ended = command(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["corpus", "show", "junk.xz"], "FILE is 'junk.xz': that is no corpus"),
        (["corpus", "show", "--contract", "kmip"], "contract is 'kmip': there is no such contract"),
        (["corpus", "build", "--contract", "kmip"], "contract is 'kmip': there is no such contract"),
        (["sweep"], "sweep"),
    ],
)
def test_wrong_values_of_other_commands(
    arguments: list[str], message: str, here: Callable[..., Any], tmp_path: Path
) -> None:
    """The other commands tell a wrong value as `run` does."""
    (tmp_path / "junk.xz").write_text("junk")
    ended = here(*arguments)
    assert ended.code == 2, ended.output
    assert message in ended.err
    assert "hint: " in ended.err


def test_sweep_by_environment(here: Callable[..., Any]) -> None:
    """`sweep` takes its endpoint from the environment as `run` does."""
    ended = here("sweep", KMS_BASE_URL="http://127.0.0.1:9", KMS_INSTANCE=INSTANCE, KMS_TOKEN=KEY)
    assert ended.code == 4, ended.output
    assert "http://127.0.0.1:9 cannot be judged" in ended.err


def test_authorities_that_cannot_be_read(command: Callable[..., Any], tmp_path: Path) -> None:
    """A wrong SSL_CERT_FILE is told like any other wrong value."""
    (tmp_path / "empty.pem").write_text("")
    for name in ("nowhere.pem", "empty.pem"):
        ended = command("run", "--no-fuzz", "-k", "delete_twice", SSL_CERT_FILE=name)
        assert ended.code == 2, ended.output
        assert ended.err.startswith(f"error: SSL_CERT_FILE is '{name}': ")
        assert "hint: give a file of certificates" in ended.err
        assert "Traceback" not in ended.output


def test_an_error_of_the_suite_is_no_verdict(
    here: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What nobody foresaw ends in 5, never in Python's own 1, which says "non-conformant"."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(KEY)

    monkeypatch.setattr("kms_conformance.run.session.Session.check", broken)
    (tmp_path / "target.toml").write_text(GOOD)
    ended = here("run", "--target", "target.toml")
    assert ended.code == 5
    assert re.match(
        r"error: the suite itself is at fault: RuntimeError in \S+\.py, line \d+\.$",
        ended.err.splitlines()[0],
    )
    monkeypatch.setenv("KMS_TRACEBACK", "1")
    traced = here("run", "--target", "target.toml")
    assert "in broken" in traced.err
    assert KEY not in ended.output + traced.output


def test_selection_that_cannot_be(command: Callable[..., Any]) -> None:
    """A -k that is no expression is wrong usage; one that matches nothing says so and is not verified."""
    ended = command("run", "--no-fuzz", "-k", "delete and")
    assert ended.code == 2
    assert "delete and" in ended.err.splitlines()[0]
    assert ended.err.splitlines()[-1].startswith("hint: -k takes")
    assert ended.out == ""
    nothing = command("run", "--no-fuzz", "-k", "delet_twiec")
    assert nothing.code == 3
    assert re.match(
        r"NOT-VERIFIED: no case ran; partial run: the selection matches none of \d+ cases$",
        nothing.first_line,
    )


def test_help_names_every_command(command: Callable[..., Any]) -> None:
    """`--help` and `--version` work, and tell what there is."""
    helped = command("--help")
    assert helped.code == 0
    assert all(re.search(rf"^  {name}\b", helped.out, re.MULTILINE) for name in ("run", "serve", "explain"))
    assert command("--version").code == 0
