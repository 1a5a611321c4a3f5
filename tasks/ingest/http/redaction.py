"""Secrets of addresses: given by reference, sent to the vendor alone, never kept or shown.

An address refers to a secret as `${NAME}`, the environment variable NAME, which is read when a
request is sent. This module owns what counts as a secret, and what stands for it elsewhere.
"""

from __future__ import annotations

import logging
import os
import re
import threading
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
    """An address refers to an environment variable that is not set; the message names it."""


def redacted(text: str) -> str:
    """The text with every secret of its addresses hidden, and every secret that was ever sent."""
    return without_known(_hidden(text))


def without_known(text: str) -> str:
    """The text less the secrets that were sent; addresses in it stay otherwise as they are."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def holds_secret(text: str) -> bool:
    """Whether an address in the text spells a secret out instead of referring to it."""
    return _hidden(text) != text


def resolved(address: str) -> str:
    """The address to send a request to, with the values that it refers to.

    They, and secrets that it spells out, are known from then on. Raises MissingSecretError.
    """

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if not value:
            raise MissingSecretError(
                f"{redacted(address)} refers to the environment variable {match[1]}, which is not "
                "set; expected the secret in it. Set it where the request is sent from."
            )
        return quote(value, safe="")

    know(address)
    return _REFERENCE.sub(value_of, address)


def resolved_header(value: str) -> str:
    """A header's value to send, with what it refers to as `resolved` looks it up."""
    return unquote(resolved(value))


def know(address: str) -> None:
    """Have the secrets of an address hidden in whatever text they turn up from now on."""
    passwords = [found["value"].rpartition(":")[2] for found in _USERINFO.finditer(address)]
    spelled = [*passwords, *(found["value"] for found in _parameters(address))]
    values = [unquote(value) for value in spelled if not _OPEN.fullmatch(value)]
    values += [os.environ.get(name, "") for name in _REFERENCE.findall(address)]
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
