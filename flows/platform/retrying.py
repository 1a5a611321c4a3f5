"""Which tasks are tried again: those that talk to the outside, when waiting may help."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE

from warehouse.lake import LakeError
from warehouse.storage.object_store import StoreError


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


VENDOR_TASK: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "tags": ["vendor"],
    "retries": 2,
    "retry_delay_seconds": [10, 60],
    "retry_jitter_factor": 0.5,  # so that runs part ways
    "retry_condition_fn": may_pass,
    "timeout_seconds": 3600,  # of one attempt
}
"""What the tasks that ask a vendor have in common."""
