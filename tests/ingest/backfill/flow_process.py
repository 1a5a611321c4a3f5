"""Runs flows in forked children, so that tests can run several at once, and kill one at any moment.

Reads a JSON line [LOG, FLOW, PARAMETERS]; for each, forks a child in a process group of its own
that runs `backfill` or `daily` and writes its pid. A line "wait PID" waits for that child and
writes its exit status; "ended PID" writes 1 if it has ended and 0 if not, without waiting.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import exchange_calendars  # noqa: F401 - imported before the fork, so that children start at once
import great_expectations  # noqa: F401
import yfinance  # noqa: F401

from flows.backfill import backfill
from flows.jobs import daily
from flows.settings import ConfigSelection

FLOWS = {"backfill": backfill, "daily": daily}


def run(log: str, name: str, parameters: dict[str, object]) -> int:
    """One flow in this process; what it printed goes to the file `log`."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        FLOWS[name](**parameters)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serve the lines of standard input until it ends."""
    for line in sys.stdin:
        if line.startswith("wait "):
            print(os.waitpid(int(line.split()[1]), 0)[1], flush=True)
            continue
        if line.startswith("ended "):
            asked = os.WEXITED | os.WNOHANG | os.WNOWAIT
            found = os.waitid(os.P_PID, int(line.split()[1]), asked)
            print(int(found is not None), flush=True)
            continue
        log, name, parameters = json.loads(line)
        parameters["selection"] = ConfigSelection.model_validate(parameters["selection"])
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            status = run(log, name, parameters)
            sys.stderr.flush()
            os._exit(status)
        os.setpgid(child, child)  # by whoever comes first
        print(child, flush=True)


if __name__ == "__main__":
    main()
