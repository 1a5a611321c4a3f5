"""Secrets that addresses refer to and the environment lacks: from Prefect's Secret blocks."""

from __future__ import annotations

from tasks.ingest.http.redaction import block_name


def secret_of_block(name: str) -> str | None:
    """The value of the Secret block that belongs to a reference `${NAME}`; None when there is none.

    Blocks are kept by the server that this run reports to, encrypted, and called in lower case with
    hyphens. Outside of a flow run none is looked for: that would start a server.
    """
    from prefect.context import FlowRunContext, TaskRunContext

    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return None
    from prefect.blocks.system import Secret
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(block_name(name), "secret")
        except ObjectNotFound:
            return None
    kept = Secret.model_validate(document.data).get()
    return kept if isinstance(kept, str) else None
