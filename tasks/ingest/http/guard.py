"""One HTTP hop that cannot leave the public internet, nor outlast its deadline."""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from tasks.ingest.http.retry import FetchError, LateError, TransientError, UnreachableError

_UNSAID = "without sending a response"
"""What httpcore says of a connection that was closed before an answer began."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class _Expiry(threading.local):
    """The monotonic time at which the exchange of this thread must be over."""

    at: float = float("inf")

    def remaining(self, timeout: float | None) -> float:
        """Seconds left, at most `timeout`. Raises LateError when none is."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise LateError("The answer took longer than the deadline allows; it was cut off.")
        return left if timeout is None else min(left, timeout)

    @contextmanager
    def watching(self, timeout: float | None) -> Iterator[float]:
        """The time one step may take; a step that runs into the deadline fails by its name."""
        try:
            yield self.remaining(timeout)
        except httpcore.TimeoutException:
            self.remaining(None)
            raise


class GuardedTransport(httpx.BaseTransport):
    """Carries out single requests for httpx over httpcore, within the rules of this module.

    A request may carry `extensions["expires_at"]`, a monotonic time that bounds connecting,
    headers and body together, and `extensions["confined"]`, an address and the names of headers
    that are for its scheme and host alone. `redirect_to` and `private_hosts`: see `feed_client`.
    """

    def __init__(self, redirect_to: str | None, private_hosts: frozenset[str]) -> None:
        self._redirect_to = httpx.URL(redirect_to) if redirect_to else None
        self._private_hosts = private_hosts
        self._expiry = _Expiry()
        allowed = private_hosts | ({self._redirect_to.host} if self._redirect_to else set())
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=32,
            keepalive_expiry=30.0,
            network_backend=_GuardedBackend(allowed, self._expiry),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises FetchError for a forbidden address, UnreachableError when no answer begins in time.
        """
        url = request.url
        if url.scheme not in {"http", "https"} or not url.host:
            raise FetchError(f"{url} is refused: only http and https addresses are fetched.")
        if self._redirect_to is not None:
            if url.host not in self._private_hosts:
                _refuse_private_literal(url.host)
            request.headers["X-Sandbox-Host"] = url.host
            to = self._redirect_to
            url = url.copy_with(scheme=to.scheme, host=to.host, port=to.port)
        _confine(request)
        self._expiry.at = request.extensions.get("expires_at", float("inf"))
        try:
            answer = self._pool.handle_request(_core_request(request, url))
        except LateError as error:
            raise UnreachableError(f"{request.url}: {error}") from error
        except httpcore.ProtocolError as error:
            kind = UnreachableError if _UNSAID in str(error) else TransientError
            raise kind(f"{request.url} could not be read: {_named(error)}.") from error
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise UnreachableError(f"{request.url} could not be read: {_named(error)}.") from error
        assert isinstance(answer.stream, Iterable)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream, str(request.url)),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def _confine(request: httpx.Request) -> None:
    """Take the headers out that are for another host, to which a redirect must not carry them."""
    address, names = request.extensions.get("confined", ("", ()))
    if names:
        home, here = httpx.URL(address), request.url
        if (home.scheme, home.host, home.port) != (here.scheme, here.host, here.port):
            for name in names:
                request.headers.pop(name, None)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes], url: str) -> None:
        self._stream = stream
        self._url = url

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise TransientError(f"{self._url} broke off its answer: {_named(error)}.") from error

    def close(self) -> None:
        if hasattr(self._stream, "close"):
            self._stream.close()


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens TCP connections to checked addresses only."""

    def __init__(self, allowed: frozenset[str], expiry: _Expiry) -> None:
        self._allowed = allowed
        self._expiry = expiry
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = host
        if host not in self._allowed:
            with self._expiry.watching(None) as left:
                address = _public_address(host, port, left)
        with self._expiry.watching(timeout) as left:
            stream = self._plain.connect_tcp(address, port, left, local_address, socket_options)
        return _TimedStream(stream, self._expiry)


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every read and write also obeys the deadline of the whole exchange."""

    def __init__(self, stream: httpcore.NetworkStream, expiry: _Expiry) -> None:
        self._stream = stream
        self._expiry = expiry

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._expiry.watching(timeout) as left:
            return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._expiry.watching(timeout) as left:
            self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        with self._expiry.watching(timeout) as left:
            stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _TimedStream(stream, self._expiry)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _core_request(request: httpx.Request, url: httpx.URL) -> httpcore.Request:
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _public_address(host: str, port: int, seconds: float) -> str:
    """The first address of `host`, if every one it has is public.

    Raises FetchError if not, UnreachableError for a host that is not found within `seconds`.
    """
    addresses = _looked_up(host, port, seconds)
    for address in addresses:
        _refuse_private(host, ipaddress.ip_address(address.partition("%")[0]))
    return addresses[0]


def _looked_up(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host. The system's look-up knows no deadline: it is left to its thread."""
    answers: queue.Queue[list[str] | Exception] = queue.Queue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(entry[4][0]) for entry in found])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=min(seconds, threading.TIMEOUT_MAX))
    except queue.Empty:
        raise UnreachableError(
            f"The host {host} could not be looked up within {seconds:.0f} s."
        ) from None
    if isinstance(answer, Exception):
        raise UnreachableError(f"The host {host} could not be looked up: {answer}.") from answer
    return answer


def _refuse_private_literal(host: str) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            address = ipaddress.ip_address("127.0.0.1")
        else:
            return
    _refuse_private(host, address)


def _refuse_private(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = _carried_ipv4(address) if isinstance(address, ipaddress.IPv6Address) else address
    if not inner.is_global or inner.is_multicast:
        raise FetchError(
            f"{host} is refused: {address} is not an address on the public internet. "
            "If it is yours and meant, name the host in private_hosts."
        )


def _carried_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address a gateway would forward this one to, if it is of such a kind."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _named(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
