"""Standard output and error that outlast their reader.

``| head`` has enough after a line, a terminal is closed, a disk is full: a command goes on, tidies up after itself and ends
with the code of what it has found.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self, TextIO

_NO_READER = frozenset({errno.EPIPE, errno.EIO})


class LastingOutput:
    """The streams of this process, as long as a block lasts.

    ``lost`` says why something that somebody wanted to keep was not written, ``""`` where all was.
    """

    def __init__(self) -> None:
        self.lost = ""
        self._restored = ExitStack()

    def __enter__(self) -> Self:
        _open_what_is_closed()
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # it was closed from the beginning
                setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))
            self._outlast(getattr(sys, name))
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._restored.close()

    def _outlast(self, stream: TextIO) -> None:
        for name in ("write", "flush"):
            usual = getattr(stream, name)
            setattr(stream, name, partial(self._tolerantly, stream, usual))
            self._restored.callback(setattr, stream, name, usual)

    def _tolerantly(self, stream: TextIO, do: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return do(*arguments)
        except OSError as error:
            if error.errno not in _NO_READER:
                self.lost = error.strerror or type(error).__name__
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, stream.fileno())
            os.close(sink)
            return do(*arguments)


def _open_what_is_closed() -> None:
    """Open the first three descriptors where they are closed: the next file to be opened would else be taken for one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
