"""Which tasks are tried again: those that talk to the outside, when waiting may help."""

from __future__ import annotations

from typing import Any

from warehouse.lake import LakeError
from warehouse.stores import StoreError

RETRIES = 2
DELAYS: list[float] = [10, 60]
"""Seconds before the second and the third attempt, spread by JITTER so that runs part ways."""
JITTER = 0.5
LONGEST = 3600
"""Seconds that one attempt may take."""


def may_pass(task: Any, task_run: Any, state: Any) -> bool:
    """Whether a failed attempt is worth another one.

    A vendor that errs is asked again inside the task, and what it owes goes to the ledger; here it
    is the disk, the bucket or the catalog. A batch the gate refused would be refused again.
    """
    del task, task_run
    try:
        state.result()
    except (OSError, LakeError, StoreError):
        return True
    except Exception:
        return False
    return False
