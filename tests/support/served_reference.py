"""The reference, served in a process of its own on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands import clean_environment

_START = 60.0


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    """Serve the reference with these arguments; give the text of its target file, which is written into a folder."""
    path = folder / "served.toml"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "kms_conformance", "serve", "--port", "0", "--write-target", str(path)]
    process = subprocess.Popen(
        [*command, *arguments], env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + _START
        while not path.exists() or not path.read_text():
            if time.monotonic() > until or process.poll() is not None:
                sys.exit("the reference did not start")
            time.sleep(0.1)
        yield path.read_text()
    finally:
        process.terminate()
        process.wait()
