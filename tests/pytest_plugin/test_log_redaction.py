"""What is written straight to the process's own output has no secret either."""

# ruff: noqa: T201 - printing is what is tested

from __future__ import annotations

import sys
from threading import Thread

import pytest

from kms_conformance.pytest_plugin.log_redaction import redacted_streams


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever thread prints it, a secret is replaced in both streams; afterwards they are as before."""

    def shout() -> None:
        print("it is", "sesame", "or", {"key": "sesame"})
        print("sesame", file=sys.stderr)

    with redacted_streams(lambda text: text.replace("sesame", "<key>")):
        thread = Thread(target=shout)
        thread.start()
        thread.join()
    print("sesame is told again")
    assert tuple(capsys.readouterr()) == (
        "it is <key> or {'key': '<key>'}\nsesame is told again\n",
        "<key>\n",
    )


def test_one_stream_for_both(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both names are one stream, as some services have it, each text is cleaned once."""
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    with redacted_streams(lambda text: text.replace("a", "aa")):
        print("a", file=sys.stderr)
    assert capsys.readouterr().out == "aa\n"
