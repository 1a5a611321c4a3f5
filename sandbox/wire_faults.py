"""Faults of the connection and of whole answers: what goes wrong whatever the request."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from sandbox.faults import Fault
from sandbox.messages import Answer

_HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Back soon</body></html>"
_MEBIBYTE = 1 << 20


def wire_fault(answer: Answer, fault: Fault) -> Answer:
    """`answer` with `fault` done to it; unchanged when the fault is not one of the wire's."""
    commit = _WIRE_FAULTS.get(fault.kind)
    return commit(answer, fault) if commit else answer


def _rate_limited(answer: Answer, fault: Fault) -> Answer:
    wait = {} if fault.value is None else {"Retry-After": f"{fault.value:g}"}
    return Answer(429, {"Content-Type": "text/plain", **wait}, b"Too Many Requests")


def _server_error(answer: Answer, fault: Fault) -> Answer:
    return Answer(500, {"Content-Type": "text/plain"}, b"Internal Server Error")


def _unavailable(answer: Answer, fault: Fault) -> Answer:
    page = _HTML.replace(b"Error", b"SEC.gov | File Unavailable")
    return Answer(503, {"Content-Type": "text/html; charset=utf-8"}, page)


def _not_found(answer: Answer, fault: Fault) -> Answer:
    return Answer(404, {"Content-Type": "text/html; charset=utf-8"}, _HTML)


def _reset(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, delivery="reset")


def _no_answer(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, delivery="none")


def _silence(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, delivery="silence")


def _drip(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, delivery="drip", pause=0.2 if fault.value is None else fault.value)


def _html_page(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, body=_HTML)


def _truncated(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, body=answer.body[: int(len(answer.body) * (fault.value or 0.6))])


def _redirect(default: str) -> Callable[[Answer, Fault], Answer]:
    def commit(answer: Answer, fault: Fault) -> Answer:
        return Answer(302, {"Location": fault.text or default}, b"")

    return commit


def _gzip_bomb(answer: Answer, fault: Fault) -> Answer:
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    return replace(answer, headers=headers, body=_bomb(int(fault.value or 256)))


@functools.lru_cache(maxsize=2)
def _bomb(mebibytes: int) -> bytes:
    """Gzip that unpacks to an endless title: about a thousandth of `mebibytes` on the wire."""
    packer = zlib.compressobj(level=1, wbits=31)
    parts = [packer.compress(b'<?xml version="1.0"?><rss version="2.0"><channel><title>')]
    parts += [packer.compress(b" " * _MEBIBYTE) for _ in range(mebibytes)]
    return b"".join([*parts, packer.flush()])


_WIRE_FAULTS: Mapping[str, Callable[[Answer, Fault], Answer]] = {
    "rate_limited": _rate_limited,
    "server_error": _server_error,
    "unavailable": _unavailable,
    "not_found": _not_found,
    "reset_mid_body": _reset,
    "no_answer": _no_answer,
    "silence": _silence,
    "slow_drip": _drip,
    "html_page": _html_page,
    "truncated": _truncated,
    "redirect_metadata": _redirect("http://169.254.169.254/latest/meta-data/"),
    "redirect_file": _redirect("file:///etc/hostname"),
    "redirect_loop": _redirect("?again"),
    "gzip_bomb": _gzip_bomb,
}
