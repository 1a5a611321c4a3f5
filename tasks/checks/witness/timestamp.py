"""An RFC 3161 time-stamping authority as witness: it signs a deposit's hash and the time.

The authority keeps nothing: document and token lie in a folder here. Nobody can make a token for
the past, so what is rewritten has none, or one that is too late; copy the folder elsewhere too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.checks.witness.deposit import Deposit
from tasks.checks.witness.spec import Copy, Kept, WitnessError, WitnessSpec
from tasks.checks.witness.web import ask
from tasks.ingest.http.redaction import Secrets, no_secrets
from warehouse.storage.atomic import write_bytes

_HEADERS = {"Content-Type": "application/timestamp-query"}


class TimestampWitness:
    """Deposits and their tokens in `folder`: NUMBER.json and NUMBER.tsr, the answer as received."""

    def __init__(self, spec: WitnessSpec, folder: Path, secrets: Secrets = no_secrets) -> None:
        self._spec = spec
        self._folder = folder
        self._secrets = secrets

    def kept(self) -> Kept:
        """The documents whose tokens hold: signature, certificates, imprint, and a timely time."""
        copies, problems = [], []
        for path in sorted(self._folder.glob("*.json")):
            document, token = path.read_bytes(), path.with_suffix(".tsr")
            try:
                at = self._verified(token.read_bytes(), document)
                self._require_timely(document, at)
            except (OSError, WitnessError) as error:
                problems.append(f"{path.name} has no time stamp that holds: {error}")
            else:
                copies.append(Copy(path.name, document, at))
        return Kept(copies, problems)

    def store(self, name: str, document: bytes) -> None:
        """Ask the authority for a time stamp, verify it, and keep both."""
        library = _library()
        request = (
            library.TimestampRequestBuilder()
            .data(document)
            .hash_algorithm(library.HashAlgorithm.SHA256)
            .build()
        )
        body = request.as_bytes()
        _, answer = ask(self._spec, "POST", body, _HEADERS, secrets=self._secrets)
        self._verified(answer, document, nonce=request.nonce)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path.with_suffix(".tsr"), answer)
        write_bytes(path, document)  # last: a document without a token would be a problem

    def _verified(self, answer: bytes, document: bytes, nonce: int | None = None) -> datetime:
        library = _library()
        try:
            response = library.decode_timestamp_response(answer)
            builder = library.VerifierBuilder(roots=self._roots(), nonce=nonce)
            builder.build().verify_message(response, document)
            moment: datetime = response.tst_info.gen_time
        except (ValueError, library.VerificationError) as error:
            raise WitnessError(f"the time stamp does not hold: {error}") from error
        return moment.astimezone(UTC)

    def _roots(self) -> list[Any]:
        from cryptography import x509

        path = self._spec.certificates
        try:
            return x509.load_pem_x509_certificates(path.read_bytes() if path else b"")
        except (OSError, ValueError) as error:
            raise WitnessError(
                f"{path} holds no certificates in PEM ({error}); expected the authority's roots"
            ) from error

    def _require_timely(self, document: bytes, at: datetime) -> None:
        sealed_at = Deposit.model_validate_json(document).head.sealed_at
        if at - sealed_at > timedelta(days=self._spec.latest):
            raise WitnessError(
                f"it was made on {at:%Y-%m-%d}, {(at - sealed_at).days} days after its head says "
                "it was sealed"
            )


def _library() -> Any:
    try:
        import rfc3161_client
    except ImportError as error:
        raise WitnessError(
            "time stamps need the library rfc3161-client, which is not installed; run "
            "`pip install rfc3161-client`"
        ) from error
    return rfc3161_client
