"""The shipped feeds: complete, well-formed, and honest about not having been tried."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from tasks.ingest.headlines.feeds import FeedSpec, feed_presets, feed_requests, request_of

DAY = date(2024, 1, 2)


def test_presets_cover_the_listed_publishers_and_claim_no_verification() -> None:
    presets = feed_presets()
    hosts = " ".join(feed.url.split("/")[2] for feed in presets.values())
    for host in ("yahoo", "nasdaq", "google", "sec.gov", "cnbc", "dowjones"):
        assert host in hosts
    assert all(feed.url.startswith("https://") for feed in presets.values())
    assert not any(feed.verified_live for feed in presets.values())


@pytest.mark.parametrize("name", sorted(feed_presets()))
@pytest.mark.parametrize("ticker", ["AAPL", "BRK-B", "BF.B", "^GSPC"])
def test_an_address_tells_the_request_it_came_from(name: str, ticker: str) -> None:
    feed = feed_presets()[name]
    for request in feed_requests(feed, [ticker], DAY, DAY):
        assert request_of(feed, request.url, DAY) == request
    assert request_of(feed, "https://elsewhere.example/rss", DAY) is None


def test_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"called 'yahu'; there are cnbc-top-news"):
        FeedSpec.model_validate({"preset": "yahu"})


def test_configuration_may_override_a_preset() -> None:
    feed = FeedSpec.model_validate({"preset": "nasdaq", "concurrency": 1})
    assert feed == feed_presets()["nasdaq"].model_copy(update={"concurrency": 1})
