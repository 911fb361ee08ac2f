"""One answer of HTTP/1.1, taken apart as its bytes come."""

from __future__ import annotations

from http import HTTPStatus

import httptools

from kms_conformance.transport.body import LARGEST_BODY, LARGEST_HEAD, MOST_HEADERS, TOO_LARGE, TOO_LONG_HEAD

_BODYLESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_MOST_FRAMES = 1024 * 1024
"""How many bytes of an answer may be neither head nor body: lengths of chunks, and what follows them."""
CUT = "a connection closed before the answer was complete"
NOT_HTTP = "an answer that is not HTTP"


class ParsedAnswer:
    """An answer that comes in. ``head``: it answers HEAD, so no body follows whatever length it names.

    ``heard``: some byte has come. ``done``: it is complete, or in ``trouble`` (which says how) and never will be.
    ``reusable``: the connection can carry another request. ``why`` is what the parser says of what is not HTTP.
    """

    def __init__(self, *, head: bool) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.content = b""
        self.trouble = self.why = ""
        self.heard = self.done = False
        self.reusable = True
        self._head, self._headed, self._framed = head, False, False
        self._chunks: list[bytes] = []
        self._size = self._fed = self._number = self._named = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self.heard = True
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if not self.done:
                self.why = type(error).__name__
                self.fail(NOT_HTTP)
        # What the parser keeps for itself: a header without end, or pieces of a body that are all frame.
        if not self._headed and self._fed > LARGEST_HEAD + len(data) and not self.done:
            self.fail(TOO_LONG_HEAD)
        elif self._fed - self._size > _MOST_FRAMES and not self.done:
            self.fail(TOO_LARGE)

    def ended(self) -> None:
        """Take in that the other side has closed: an answer without length ends there, any other is cut short."""
        self.reusable = False
        if self._headed and not self._framed:
            self.on_message_complete()
        elif not self.done:
            self.fail(CUT)

    def fail(self, trouble: str) -> None:
        """Give the answer up."""
        self.trouble, self.done, self.reusable = trouble, True, False

    # --- httptools -------------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, of the head or behind the body."""
        if self.done:
            return
        self._number += 1
        self._named += len(name) + len(value)
        if self._number > MOST_HEADERS or self._named > LARGEST_HEAD:
            self.fail(self.trouble or TOO_LONG_HEAD)
            return
        header = name.decode("latin-1").lower()
        self._framed = self._framed or header in {"content-length", "transfer-encoding"}
        self.headers.append((header, value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        """Take the status; an answer to HEAD ends here, whatever length it names."""
        if self.done:  # by an earlier answer: this one answers nothing
            self.reusable = False
            return
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            self.headers, self._framed = [], False
            return
        self.status, self._headed = status, True
        if not self._parser.should_keep_alive():
            self.reusable = False
        if self._head or status in _BODYLESS:
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self.done:
            return
        self._size += len(body)
        if self._size > LARGEST_BODY:
            self.fail(self.trouble or TOO_LARGE)
            self._chunks.clear()
            return
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Note that the answer is complete."""
        if self.status and not self.done:
            self.content, self.done = b"".join(self._chunks), True
