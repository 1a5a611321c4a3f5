"""Feed items landed, parsed, checked and identified per second of one core.

Run as `python -m benchmarks.ingest.feed_throughput [--items N]`. The feeds are made up, of 50 items
each, with escaped markup, entities and accents in the shares that real ones have. Times are CPU
time of this process, so that a busy machine does not matter; nothing is fetched.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.requests import FeedRequest
from warehouse.storage.landing import Landing, Payload

NOW = datetime(2024, 1, 2, tzinfo=UTC)
FEED = FeedSpec(name="bench", url="https://bench.example/rss?s={ticker}")
PER_FEED = 50


def main() -> None:
    """Print one line: items, seconds of CPU, items a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    items = parser.parse_args().items
    payloads = [_payload(number) for number in range(items // PER_FEED)]
    with tempfile.TemporaryDirectory() as folder:
        landing = Landing(Path(folder))
        _built(payloads[:1], landing)  # imports what is imported lazily
        begun = time.process_time()
        rows = _built(payloads[1:], landing)
        spent = time.process_time() - begun
    assert rows == len(payloads[1:]) * PER_FEED
    print(f"{rows:,} items in {spent:.2f} s of CPU: {rows / spent:,.0f} items/s")


def _built(payloads: Sequence[Payload], landing: Landing) -> int:
    builder = BatchBuilder(FEED)
    for number, payload in enumerate(payloads):
        request = FeedRequest(f"T{number}", payload.url, NOW.date(), NOW.date())
        builder.add(request, payload, landing.store(payload))
    return builder.batch().headlines.num_rows


def _payload(number: int) -> Payload:
    items = "".join(_item(number * PER_FEED + place) for place in range(PER_FEED))
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Bench</title>'
        f"<link>https://bench.example</link><description>b</description>{items}</channel></rss>"
    ).encode()
    url = f"https://bench.example/rss?s=T{number}"
    return Payload("bench", url, 200, (("content-type", "application/rss+xml"),), body, NOW)


def _item(number: int) -> str:
    title = f"Company {number} lifts outlook for region {number % 97}"
    if number % 5 == 0:
        title = f"Société {number} &amp; Co&amp;#8217;s outlook lifted"
    dated = format_datetime(NOW - timedelta(minutes=number % 9000), usegmt=True)
    summary = f"&lt;p&gt;Company {number} said its &lt;b&gt;outlook&lt;/b&gt; improved.&lt;/p&gt;"
    return (
        f"<item><title>{title}</title><link>https://bench.example/{number}</link>"
        f'<guid isPermaLink="false">b-{number}</guid><pubDate>{dated}</pubDate>'
        f"<description>{summary}</description></item>"
    )


if __name__ == "__main__":
    main()
