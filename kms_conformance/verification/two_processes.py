"""Two pieces of work side by side: one here, one in a child of this process, which has everything in memory already."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

One = TypeVar("One")
Other = TypeVar("Other")


def side_by_side(
    one: Callable[[], One], other: Callable[[], Other], *, worthwhile: bool
) -> tuple[One, Other]:
    """Return what both give; ``other`` is called in a child process where that is ``worthwhile`` and can be done.

    A child needs a system on which forking is safe, a second processor, and no other thread, whose locks it would inherit.
    What ``other`` gives has to be data. Where the child gives nothing, it is called here.
    """
    can_fork = platform.system() == "Linux" and threading.active_count() == 1
    if not worthwhile or not can_fork or (os.cpu_count() or 1) == 1:
        return one(), other()
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_give, args=(sender, other), daemon=True)
    child.start()
    sender.close()
    try:
        here = one()
        try:
            there = receiver.recv()
        except EOFError:  # it died, or met an error that is met here again
            there = other()
        return here, there
    finally:
        child.terminate()
        child.join()
        receiver.close()


def _give(sender: Connection, work: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # it is met again where the work is done once more
        sender.send(work())
    sender.close()
