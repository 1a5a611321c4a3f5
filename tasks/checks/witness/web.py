"""HTTP witnesses: a plain endpoint that appends, and a request to it or to an authority."""

from __future__ import annotations

import json

import httpx

from tasks.checks.witness.spec import Copy, Kept, WitnessError, WitnessSpec
from tasks.ingest.http.redaction import (
    MissingSecretError,
    Secrets,
    no_secrets,
    redacted,
    resolved,
    resolved_header,
)

LARGEST = 256 * 2**20
"""Bytes of an answer."""
_NOTHING = (204, 404)


class HttpWitness:
    """POST appends one document; GET answers with a JSON array of all of them, oldest first."""

    def __init__(self, spec: WitnessSpec, secrets: Secrets = no_secrets) -> None:
        self._spec = spec
        self._secrets = secrets

    def kept(self) -> Kept:
        """What the endpoint answers to GET; 204 and 404 say that nothing was deposited."""
        status, body = ask(self._spec, "GET", secrets=self._secrets)
        if status in _NOTHING:
            return Kept(())
        try:
            documents = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise WitnessError("its answer is no JSON; expected an array of deposits") from error
        if not isinstance(documents, list):
            raise WitnessError("its answer is no JSON array; expected an array of deposits")
        return Kept(
            [
                Copy(f"deposit {number}", json.dumps(document).encode())
                for number, document in enumerate(documents, start=1)
            ]
        )

    def store(self, name: str, document: bytes) -> None:
        """Post the document, and see that the endpoint gives it back."""
        headers = {"Content-Type": "application/json", "X-Newsvane-Deposit": name}
        ask(self._spec, "POST", document, headers, secrets=self._secrets)
        wanted = json.loads(document)
        if not any(json.loads(copy.document) == wanted for copy in self.kept().copies):
            raise WitnessError(
                f"it took {name} and does not give it back; expected GET to answer with it"
            )


def ask(
    spec: WitnessSpec,
    method: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    secrets: Secrets = no_secrets,
) -> tuple[int, bytes]:
    """Send one request to the witness, bounded in time and size; its status and answer.

    Redirects are not followed. Raises WitnessError for any status but 2xx, and 404 to a GET.
    """
    try:
        url, sent = resolved(spec.url, secrets), dict(headers or {})
        if spec.token is not None:
            sent["Authorization"] = f"Bearer {resolved_header(spec.token, secrets)}"
        with (
            httpx.Client(timeout=spec.timeout, trust_env=False) as client,
            client.stream(method, url, content=body, headers=sent) as answer,
        ):
            found = bytearray()
            for part in answer.iter_bytes():
                found += part
                if len(found) > LARGEST:
                    raise WitnessError(f"its answer is longer than {LARGEST:,} bytes")
    except MissingSecretError as error:
        raise WitnessError(str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = redacted(str(error)) or type(error).__name__
        raise WitnessError(f"{method} {redacted(spec.url)} failed: {said}") from error
    if not answer.is_success and not (method == "GET" and answer.status_code in _NOTHING):
        raise WitnessError(
            f"{method} {redacted(spec.url)} was answered with status {answer.status_code}; "
            "expected 2xx"
        )
    return answer.status_code, bytes(found)
