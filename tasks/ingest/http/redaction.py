"""Secrets of addresses: given by reference, sent to the vendor alone, never kept or shown.

An address refers to a secret as `${NAME}`, the environment variable NAME, which is read when a
request is sent; whoever makes a client may give it a further place to look in. This module owns
what counts as a secret, and what stands for it elsewhere.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote

HIDDEN = "***"
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_USERINFO = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<value>[^/?#\s\"'<>]*)@", re.IGNORECASE
)
_PARAMETER = re.compile(r"[?&;#](?P<name>[^=&;#?/\s\"'<>]{1,80})=(?P<value>[^&#\s\"'<>]*)")
_PASSWORD = re.compile(
    r"((?<![?&;#\w])(?:ssl)?passw(?:or)?d\s*=\s*)(\\?'[^']*'|[^\s\"'&]+)", re.IGNORECASE
)
"""Of a PostgreSQL connection string, which is no address."""
_SECRET_NAME = re.compile(
    r"key|sig|hmac|pass|pw|pwd|auth|oauth|jwt|crumb"
    r"|auth(orization|entication|key|code|string|header)"
    r"|.*(token|secret|passw|passphrase|signature|credential|bearer|sessionid).*"
    r"|.*(api|access|app|auth|client|private|subscription|consumer|license|signing|developer)key"
)
"""Of a parameter, in lower case, without hyphens, underscores and dots; of `a[b]` the b."""
_OPEN = re.compile(r"(\$\{\w+\}|\{\w*\}|:|\*{3})*")
"""What a value may be and yet be shown: references, placeholders of a feed, what stands hidden."""
_SHORTEST = 8
"""Characters. A shorter value is not looked for in other texts: they would be full of it."""
_known: frozenset[str] = frozenset()
_learning = threading.Lock()


class MissingSecretError(LookupError):
    """An address refers to a secret that is not there or unfit to be sent; the message names it."""


def redacted(text: str) -> str:
    """The text with every secret of its addresses hidden, and every secret that was ever sent."""
    return without_known(_hidden(text))


def without_known(text: str) -> str:
    """The text less the secrets that were sent; addresses in it stay otherwise as they are."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def without_known_bytes(body: bytes) -> bytes:
    """An answer less the secrets that were sent: a vendor may repeat them in it."""
    text = body.decode("latin-1")
    hidden = without_known(text)
    return body if hidden == text else hidden.encode("latin-1")


def holds_secret(text: str) -> bool:
    """Whether an address in the text spells a secret out instead of referring to it."""
    return _hidden(text) != text


Secrets = Callable[[str], str | None]
"""Gives the value of a secret by its name; None when it has none."""


def no_secrets(_: str) -> None:
    """Secrets of an environment that is all there is."""


def resolved(address: str, beyond: Secrets = no_secrets) -> str:
    """The address to send a request to, with the values that it refers to.

    A value is that of the environment, else that of `beyond`. They, and secrets that it spells
    out, are known from then on. Raises MissingSecretError.
    """
    values = {
        # The line end of a file that a secret was read from is no part of it.
        name: (os.environ.get(name) or beyond(name) or "").strip()
        for name in dict.fromkeys(_REFERENCE.findall(address))
    }

    def value_of(match: re.Match[str]) -> str:
        value = values[match[1]]
        if not value:
            raise MissingSecretError(
                f"{redacted(address)} refers to the environment variable {match[1]}, which is not "
                "set; expected the secret in it, or in a Secret block of Prefect of that name "
                f"({block_name(match[1])}). Set it where the request is sent from."
            )
        return quote(value, safe="")

    know(address)
    _learn(value for value in values.values() if value)
    return _REFERENCE.sub(value_of, address)


def block_name(name: str) -> str:
    """What Prefect's Secret block of a reference is called: PAID_TOKEN is `paid-token` there."""
    return name.lower().replace("_", "-")


def resolved_header(value: str, beyond: Secrets = no_secrets) -> str:
    """A header's value to send, with what it refers to as `resolved` looks it up.

    Raises MissingSecretError too for a secret that no header can hold: a client would spell it out.
    """
    sent = unquote(resolved(value, beyond))
    if not (sent.isascii() and sent.isprintable()):
        raise MissingSecretError(
            f"{value} refers to a secret with a character that no header can hold; expected "
            "printable ASCII. Correct the environment variable or the Secret block."
        )
    return sent


def know(address: str) -> None:
    """Have the secrets of an address hidden in whatever text they turn up from now on."""
    passwords = [found["value"].rpartition(":")[2] for found in _USERINFO.finditer(address)]
    spelled = [*passwords, *(found["value"] for found in _parameters(address))]
    _learn(unquote(value) for value in spelled if not _OPEN.fullmatch(value))
    _learn(os.environ.get(name, "").strip() for name in _REFERENCE.findall(address))


def know_value(value: str) -> None:
    """Have a text hidden from now on that was given as a secret, if it is long enough for one."""
    _learn([value])


def _learn(values: Iterable[str]) -> None:
    spellings = {
        spelling
        for value in values
        if len(value) >= _SHORTEST
        for spelling in (value, quote(value, safe=""), quote(value))
    }
    global _known
    with _learning:
        _known = _known | spellings


class RedactingFilter(logging.Filter):
    """Hides secrets in what a library logs about its requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


def _hidden(text: str) -> str:
    spans = [
        found.span("value")
        for found in (*_USERINFO.finditer(text), *_parameters(text))
        if not _OPEN.fullmatch(found["value"])
    ]
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + HIDDEN + text[end:]
    return _PASSWORD.sub(rf"\1{HIDDEN}", text)


def _parameters(text: str) -> list[re.Match[str]]:
    found, position = [], 0
    while match := _PARAMETER.search(text, position):
        name = re.sub(r"^.*\[|[-_.\]]", "", unquote(match["name"]).lower())
        if _SECRET_NAME.fullmatch(name):
            found.append(match)
            position = match.end()
        else:
            # The value of another may hold the next name behind a semicolon or a question mark.
            position = match.start("value")
    return found
