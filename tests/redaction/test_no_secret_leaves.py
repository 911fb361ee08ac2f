"""No secret leaves the run: not into a report, not onto the terminal, not into what pytest prints or writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import SHORTEST, Leaky, leaking, spellings
from commands import Command, Ended
from runs import write_case

from kms_conformance.outputs.html_blocks import whole
from kms_reference.server import Server
from kms_reference.target import target_text

NOISY = (
    "-vv",
    "-l",
    "--showlocals",
    "--tb=long",
    "--full-trace",
    "-rA",
    "--log-level=DEBUG",
    "--log-file=run.log",
    "-o",
    "log_cli=true",
    "-o",
    "junit_logging=all",
)
_NAMES = "test_wrapping or import_by_token or counts_down or no_base64 or stale_nonce or test_own"
SOME = ("-k", _NAMES)
FEW = ("-k", f"({_NAMES}) and not views")
PIECE = SHORTEST // 2
# An author's mistakes: whatever a case throws, with a secret in its text or in its local variables.
ACCIDENTS = '''
import logging

@covers("list-keys")
def test_exception_with_secrets(kms):
    """A case throws what it holds."""
    material = kms.key_material()
    key = kms.import_root_key(material)
    answer = kms.wrap(key, material)
    raise RuntimeError(f"x{material}y {answer.body} {answer.reply} {kms.current_token()}")


@covers("list-keys")
def test_assertion_with_secrets(kms):
    """A case compares what it must not show."""
    material, other = kms.key_material(), kms.key_material()
    key = kms.import_root_key(material)
    assert kms.unwrap(key, kms.wrap(key, material)["ciphertext"]).body == {"plaintext": other}


@covers("list-keys")
def test_failure_with_secrets(kms):
    """A case expects what is not there."""
    material = kms.key_material()
    key = kms.import_root_key(material)
    kms.wrap(key, material).succeeds().shows("ciphertext", material)


@covers("list-keys")
def test_printed_secrets(kms):
    """A case prints a whole answer."""
    key = kms.create_root_key()
    print(kms.list_keys().succeeds(200).exchange)
    print([kms.key_material(), kms.case.context.target])
    print(kms.current_token(), kms.unwrap(key, kms.wrap(key, kms.key_material())["ciphertext"]).body)


@covers("list-keys")
def test_logged_secrets(kms):
    """A case logs what it holds, by itself and with an exception."""
    material = kms.key_material()
    kms.import_root_key(material)
    log = logging.getLogger("author")
    log.warning("it is %s", material)
    try:
        raise ValueError(f"no {material}")
    except ValueError:
        log.exception("with %s", kms.current_token())
'''
# A hook that goes wrong while it holds a secret.
BREAKDOWN = """

def pytest_runtest_logreport(report):
    held = "-".join(["a", "secret", "of", "mine"])
    raise RuntimeError("out of order")
"""


@pytest.fixture(params=["json", "html"])
def leaky(request: pytest.FixtureRequest) -> Iterator[Leaky]:
    """Yield a reference behind a proxy that repeats every secret; its refusals are JSON, or HTML pages and broken HTTP."""
    with Server() as server, leaking(server.base_url) as proxy:
        proxy.html = request.param == "html"
        proxy.unruly = 7 * proxy.html
        proxy.learn(*server.api_keys.values())
        proxy.target = target_text(server).replace(server.base_url, proxy.url)
        yield proxy


def leaks(leaky: Leaky, folder: Path, ended: Ended) -> list[str]:
    """Return where which secrets stand: in a file of the folder, or in what was printed."""
    places = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    places.pop("target.toml")
    # What the report holds in packed form is read too.
    reports = {name: content for name, content in places.items() if name.endswith("report.html")}
    places |= {f"{name}, unpacked": whole(text.decode()).encode() for name, text in reports.items()}
    places |= {"stdout": ended.out.encode(), "stderr": ended.err.encode()}
    wanted = {form.encode() for value in leaky.seen for form in spellings(value)}
    assert len(leaky.seen) > 20
    # Of a text every eighth place is looked at: wherever a form stands, one of its first eight places is such a place.
    pieces: dict[bytes, set[bytes]] = {}
    for form in wanted:
        for place in range(PIECE):
            pieces.setdefault(form[place : place + PIECE], set()).add(form)
    return sorted(
        f"{name}: {form!r}"
        for name, content in places.items()
        for form in set[bytes]().union(
            *(
                pieces[piece]
                for piece in {content[place : place + PIECE] for place in range(0, len(content), PIECE)}
                & pieces.keys()
            )
        )
        if form in content
    )


def test_command_line(leaky: Leaky, command: Command, tmp_path: Path) -> None:
    """A run against a server that repeats everything writes and prints no secret, and finds the echoes."""
    (tmp_path / "target.toml").write_text(leaky.target)
    systems = ("--contract", "key_protect") if leaky.html else ()
    more = ("--report-dir", "report", "--jobs", "8", "--metrics", "metrics.txt", "--progress", "json")
    ended = command("run", "--target", "target.toml", *more, *systems, *(FEW if leaky.html else SOME))
    assert ended.code == 1, ended.output
    assert "Traceback" not in ended.output
    assert "wire-no-secret-echo" in (tmp_path / "report" / "results.json").read_text()
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {
        "transcript.har",
        "report.html",
        "junit.xml",
    }
    assert leaks(leaky, tmp_path, ended) == []


def test_internal_error(command: Command, tmp_path: Path) -> None:
    """When pytest itself breaks down, it shows no local variable and no argument, although it is asked to."""
    module = write_case(tmp_path / "own", ACCIDENTS)
    conftest = module.with_name("conftest.py")
    conftest.write_text(conftest.read_text() + BREAKDOWN)
    ended = command("--kms-max-wait", "0", *NOISY, "own/test_own.py", module="pytest")
    assert ended.code == 3
    assert "RuntimeError: out of order" in ended.output
    assert "secret-of-mine" not in ended.output


@pytest.mark.parametrize("leaky", ["json"], indirect=True)
def test_pytest(leaky: Leaky, command: Command, tmp_path: Path) -> None:
    """Nor does pytest at its most talkative: failing and erring cases, local variables, logs, JUnit, Allure."""
    (tmp_path / "target.toml").write_text(leaky.target)
    write_case(tmp_path / "own", ACCIDENTS)
    reports = (
        "--kms-report-dir",
        "report",
        "--junitxml",
        "junit.xml",
        "--alluredir",
        "allure",
        "--kms-journal",
        "journal.sqlite",
    )
    ended = command(
        "--kms-target", "target.toml", *reports, *NOISY, *FEW, "own/test_own.py",
        "--pyargs", "kms_conformance.scenarios.key_protect", module="pytest",
    )  # fmt: skip
    assert ended.code == 1, ended.output
    assert "test_exception_with_secrets" in ended.out
    assert list((tmp_path / "allure").glob("*-result.json"))
    assert leaks(leaky, tmp_path, ended) == []
