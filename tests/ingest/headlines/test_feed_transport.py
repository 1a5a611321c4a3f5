"""The guard around every hop: where a feed may lead, and how long it may take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, FetchError, RetryPolicy
from warehouse.storage.landing import Payload

NOW = datetime(2020, 3, 4, 12, tzinfo=UTC)
ONCE = RetryPolicy(attempts=1)


def get(url: str, limits: FeedLimits | None = None, redirect_to: str | None = None) -> Payload:
    bounds = limits or FeedLimits(retry=ONCE, deadline=timedelta(seconds=60))
    with feed_client(redirect_to, bounds, sleep=lambda _: None) as client:
        return client.fetch(url, source="test", clock=lambda: NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
        "http://100.64.0.1/",
    ],
)
def test_private_addresses_are_refused(url: str) -> None:
    with pytest.raises(FetchError, match="not an address on the public internet"):
        get(url)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.com/", "gopher://x/", "/x"])
def test_only_web_addresses_are_fetched(url: str) -> None:
    with pytest.raises(FetchError, match=r"only http and https|no usable address"):
        get(url)


def test_name_that_resolves_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rebound(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with pytest.raises(FetchError, match=r"10\.0\.0\.7 is not an address on the public"):
        get("http://innocent.example/rss")


@pytest.fixture
def dripping_headers() -> Iterator[int]:
    """A server that sends one header line every 0.1 s and never ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)
    stopped = threading.Event()

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stopped.wait(0.1):
                try:
                    connection.sendall(b"X-Drip: 1\r\n")
                except OSError:
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    stopped.set()
    listener.close()
    thread.join()


def test_deadline_covers_headers_that_never_end(dripping_headers: int) -> None:
    limits = FeedLimits(retry=ONCE, deadline=timedelta(seconds=0.5), private_hosts=("127.0.0.1",))
    with pytest.raises(FetchError, match="longer than the deadline"):
        get(f"http://127.0.0.1:{dripping_headers}/", limits)


def test_closed_port_is_tried_as_often_as_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    limits = FeedLimits(retry=RetryPolicy(attempts=3), private_hosts=("127.0.0.1",))
    with pytest.raises(FetchError, match=r"ConnectError.*tried 3 times"):
        get(f"http://127.0.0.1:{port}/", limits)
