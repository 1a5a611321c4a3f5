"""Ctrl-C and SIGTERM: a command ends within its grace period, a service in its own time."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

from flows.platform.processes import started_by

INTERRUPTED = 130
"""Exit code of a command that was asked to end."""
GRACE = {signal.SIGINT: 2.5, signal.SIGTERM: 20.0}
"""Seconds a command may take to end by itself: somebody waits at the terminal, a service manager
has more patience. What ends it then may come at any instant, as a kill may."""

_SHOW_CURSOR = "\x1b[?25h"
_WORDS = "Interrupted. What was published stays; run the command again."
_asked, _said = threading.Event(), threading.Event()


def end_on_request() -> None:
    """Have Ctrl-C and SIGTERM end this command: with a sentence, and with what it started.

    The first raises KeyboardInterrupt in the main thread. A library may swallow that, or wait for
    its threads; so once GRACE is over, and at a second request, the process ends as it is.
    """
    _asked.clear()
    _said.clear()
    for number in GRACE:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has it in the background
            signal.signal(number, _request)


def end_in_own_time() -> None:
    """Have them raise KeyboardInterrupt and nothing else: a service stops its parts in order."""
    for number in GRACE:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def say_interrupted() -> None:
    """Say on standard error, once, that the command was interrupted."""
    if not _said.is_set():
        _said.set()
        print(_WORDS, file=sys.stderr, flush=True)


def let_end() -> None:
    """Hear no further request: what is being ended must not be left half of it."""
    for number in GRACE:
        signal.signal(number, signal.SIG_IGN)


def _request(number: int, _: FrameType | None) -> None:
    if _asked.is_set():
        _end_now()
    _asked.set()
    patience = threading.Timer(GRACE[signal.Signals(number)], _end_now)
    patience.daemon = True
    patience.start()
    raise KeyboardInterrupt


def _end_now() -> None:
    """End this process and its children without any further word of theirs."""
    for pid in started_by(os.getpid()):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    if not _said.is_set():
        shown = f"{_SHOW_CURSOR}\n" if os.isatty(2) else ""
        with suppress(OSError):  # whoever read it may be gone
            os.write(2, f"{shown}{_WORDS}\n".encode())  # the main thread may hold sys.stderr
    os._exit(INTERRUPTED)
