"""Takes secrets out of what pytest captures and logs, before it is shown or written anywhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any, TextIO

import pytest

_HANDLERS = ("caplog_handler", "report_handler", "log_cli_handler", "log_file_handler")
_FORMAT = logging.Formatter()


class LogRedaction(logging.Filter):
    """What an author's case prints and logs; ``clean`` returns a text without secrets."""

    def __init__(self, clean: Callable[[str], str], config: pytest.Config) -> None:
        super().__init__()
        self._clean = clean
        logs = config.pluginmanager.get_plugin("logging-plugin")
        for name in _HANDLERS:
            handler = getattr(logs, name, None)
            if handler is not None:
                handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a line of a log."""
        record.msg, record.args = self._clean(record.getMessage()), None
        if record.exc_info:
            record.exc_text = self._clean(_FORMAT.formatException(record.exc_info))
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        """Clean what was captured, before other plugins read it."""
        report = yield
        report.sections = [(name, self._clean(text)) for name, text in report.sections]
        return report


def redacted_streams(clean: Callable[[str], str]) -> ExitStack:
    """Take secrets out of all that is written to the process's own output until the result is closed.

    pytest captures what cases print, but not while it shows a line of a log, nor with ``-s``: what a case in another
    thread prints at that moment goes straight to the terminal.
    """
    restored = ExitStack()
    for stream in {id(stream): stream for stream in (sys.stdout, sys.stderr)}.values():
        _redact(stream, clean, restored)
    return restored


def _redact(stream: TextIO, clean: Callable[[str], str], restored: ExitStack) -> None:
    write = stream.write

    def cleaned(text: str) -> int:
        write(clean(text))
        return len(text)

    # ``print`` looks the method up each time.
    restored.callback(setattr, stream, "write", write)
    stream.write = cleaned  # type: ignore[method-assign]
