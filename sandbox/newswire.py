"""Made-up headlines about a market: pure noise, or a tone planted against the realised move.

Every headline is a pure function of (seed, ticker, session): the same whatever range is requested,
in whatever order. Nothing here is real news; the feeds that carry it say so in every item.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from sandbox.history import History
from sandbox.market import Market

SOURCE = "Newsvane Sandbox (synthetic)"
HEADLINES_SCHEMA = pa.schema(
    [
        ("guid", pa.string()),
        ("ticker", pa.string()),
        ("title", pa.string()),
        ("summary", pa.string()),
        ("link", pa.string()),
        ("published_at", pa.timestamp("us", tz="UTC")),
    ]
)

_HOUR = 3600
_QUIET_BEFORE_OPEN = 3 * _HOUR
_NEWS_WINDOW = 13 * _HOUR
_MOST_PER_SESSION = 6
_TAIL = 0.28
_SLOT = re.compile(r"\{(\w+)\}")


class NewsSpec(BaseModel):
    """What the newswire knows and how much it says.

    `null`: tone is a coin flip of its own. `planted`: the tone of a session's news agrees with the
    sign of its realised open-to-close move with probability (1 + strength) / 2. `coverage` is the
    share of ticker-sessions with news, `neutral` the share of those whose news has no tone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 7
    mode: Literal["null", "planted"] = "null"
    strength: float = Field(default=0.6, ge=0, le=1)
    coverage: float = Field(default=0.6, ge=0, le=1)
    neutral: float = Field(default=0.1, ge=0, le=1)


@dataclass(frozen=True)
class Phrases:
    """Title templates by tone, and by tone the words that fill their slots."""

    templates: Mapping[str, Sequence[str]]
    slots: Mapping[str, Mapping[str, Sequence[str]]]

    def title(self, tone: str, name: str, choice: int) -> str:
        """The title that the number `choice` (64 random bits) stands for."""
        bits = choice

        def pick(options: Sequence[str]) -> str:
            nonlocal bits
            bits, index = divmod(bits, len(options))
            return options[index]

        def fill(slot: re.Match[str]) -> str:
            return name if slot[1] == "name" else pick(self.slots[tone][slot[1]])

        title = _SLOT.sub(fill, pick(self.templates[tone]))
        return title[0].upper() + title[1:]


@functools.cache
def phrases() -> Phrases:
    """The lexicon of `phrases.toml`."""
    parsed = tomllib.loads(files("sandbox").joinpath("phrases.toml").read_text("utf-8"))
    shared, toned = parsed["slots"], parsed["toned"]["templates"]
    templates = {tone: parsed[tone].pop("templates") for tone in ("up", "down", "neutral")}
    slots = {tone: {**shared, **parsed[tone]} for tone in templates}
    return Phrases(
        {**templates, "up": toned + templates["up"], "down": toned + templates["down"]}, slots
    )


def headlines(market: Market, spec: NewsSpec, tickers: Sequence[str] | None = None) -> pa.Table:
    """All headlines of `tickers` (default: the whole market), one row each, in HEADLINES_SCHEMA.

    Sorted by ticker, then published_at (UTC). News for a session comes out between 16 and 3 hours
    before its open, or on an earlier evening of the same gap (weekend, holiday).
    """
    wanted = market.tickers if tickers is None else tickers
    parts = [ticker_headlines(market.history(ticker), spec) for ticker in wanted]
    return pa.concat_tables(parts) if parts else HEADLINES_SCHEMA.empty_table()


def ticker_headlines(history: History, spec: NewsSpec, sessions: slice = slice(None)) -> pa.Table:
    """Headlines about one ticker, one row each, in HEADLINES_SCHEMA, sorted by published_at.

    `sessions` limits the work to the news of those sessions; it changes none of it.
    """
    ticker = history.listing.ticker
    days = history.sessions.astype(np.int64)
    tone = session_tones(history, spec)
    count = np.zeros(len(days), dtype=np.int64)
    count[sessions] = _counts(days[sessions], ticker, spec)
    rows, order = np.nonzero(count[:, None] > np.arange(_MOST_PER_SESSION))
    published = _published(history, rows, order, spec)
    sort = np.lexsort((order, published))
    rows, order, published = rows[sort], order[sort], published[sort]
    choices = _bits(days[rows], order, f"{spec.seed}/{ticker}/title")
    lexicon, name = phrases(), history.listing.name
    titles = [
        lexicon.title(mood, name, choice)
        for mood, choice in zip(tone[rows].tolist(), choices.tolist(), strict=True)
    ]
    keys = [
        f"{ticker}-{day}-{number}"
        for day, number in zip(history.sessions[rows].tolist(), order.tolist(), strict=True)
    ]
    return pa.table(
        {
            "guid": [f"sandbox-{spec.seed}-{key}" for key in keys],
            "ticker": pa.repeat(ticker, len(rows)),
            "title": titles,
            "summary": pa.repeat(f"Synthetic story about {ticker}; not news.", len(rows)),
            "link": [f"https://www.sandbox.example/story/{spec.seed}/{key}" for key in keys],
            "published_at": pa.array(published * 1_000_000, pa.timestamp("us", tz="UTC")),
        },
        schema=HEADLINES_SCHEMA,
    )


def session_tones(history: History, spec: NewsSpec) -> np.ndarray:
    """Tone ("up", "down" or "neutral") of each session's news, shared by all its headlines.

    An unchanged session has no sign to agree with: its tone is a coin flip.
    """
    ticker, days = history.listing.ticker, history.sessions.astype(np.int64)
    coin = _uniform(days, f"{spec.seed}/{ticker}/tone") < 0.5
    move = history.close - history.open
    if spec.mode == "planted":
        agrees = _uniform(days, f"{spec.seed}/{ticker}/agree") < (1 + spec.strength) / 2
        coin = np.where(move == 0, coin, (move > 0) == agrees)
    quiet = _uniform(days, f"{spec.seed}/{ticker}/neutral") < spec.neutral
    return np.where(quiet, "neutral", np.where(coin, "up", "down"))


def _counts(days: np.ndarray, ticker: str, spec: NewsSpec) -> np.ndarray:
    """Headlines of each session: none, or a geometric number with a cap."""
    covered = _uniform(days, f"{spec.seed}/{ticker}/covered") < spec.coverage
    tail = 1 - _uniform(days, f"{spec.seed}/{ticker}/count")
    several = 1 + np.floor(np.log(tail) / np.log(_TAIL)).astype(np.int64)
    return np.where(covered, np.minimum(several, _MOST_PER_SESSION), 0)


def _published(history: History, rows: np.ndarray, order: np.ndarray, spec: NewsSpec) -> np.ndarray:
    """Unix seconds of each headline: mostly last night, sometimes an earlier night of the gap."""
    key = f"{spec.seed}/{history.listing.ticker}"
    days = history.sessions.astype(np.int64)
    nights = np.minimum(np.diff(days, prepend=days[:1] - 1), 4)[rows]
    earlier = _uniform(days[rows], f"{key}/earlier", order) < 0.3
    back = np.floor(_uniform(days[rows], f"{key}/night", order) * nights).astype(np.int64)
    ago = _QUIET_BEFORE_OPEN + _uniform(days[rows], f"{key}/hour", order) * _NEWS_WINDOW
    nights_back = np.where(earlier, back, 0) * 24 * _HOUR
    published = history.opens_at[rows] - np.ceil(ago).astype(np.int64) - nights_back
    return np.asarray(published)


def _uniform(days: np.ndarray, key: str, order: np.ndarray | int = 0) -> np.ndarray:
    """Uniform numbers in [0, 1), one per (day, order), for the stream named `key`."""
    return np.asarray((_bits(days, order, key) >> np.uint64(11)) * 2.0**-53)


def _bits(days: np.ndarray, order: np.ndarray | int, key: str) -> np.ndarray:
    """64 hashed bits per (day, order): the SplitMix64 finaliser over a counter keyed by `key`."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    counter = np.asarray(days * _MOST_PER_SESSION + order, dtype=np.int64).view(np.uint64)
    z = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = z + np.uint64(int.from_bytes(digest, "little"))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
