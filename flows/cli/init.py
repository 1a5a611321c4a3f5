"""`newsvane init`: a commented configuration for one's own tickers. Asks nobody, makes no data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from string import Template

from flows.settings import DEFAULT_FILE, ConfigurationError, load_settings

TEMPLATE = Path(__file__).parent / "templates" / "newsvane.toml"
PRICES_REACH = timedelta(days=5 * 365)
HEADLINES_REACH = timedelta(days=2 * 365)
"""How far before today a new configuration asks for prices and headlines."""

PRESET_FEEDS = ("yahoo-finance", "nasdaq", "google-news")


def write_configuration(
    folder: Path, tickers: Sequence[str], exchange: str, feeds: Sequence[str], *, today: date
) -> Path:
    """Write FOLDER/newsvane.toml for these tickers, exchange (ISO 10383) and preset feeds.

    Raises ConfigurationError, and writes nothing, when there is one already, or when it could not
    be used: a ticker, exchange or feed is unknown.
    """
    from tasks.dataset.spec.clock import exchange_sessions

    path = folder / DEFAULT_FILE
    if path.exists():
        raise ConfigurationError(
            f"{path} exists already; expected none. Edit it, or move it away. Nothing was written."
        )
    text = Template(TEMPLATE.read_text("utf-8")).safe_substitute(
        tickers=_listed(tickers),
        exchange=exchange,
        feeds=_listed(feeds),
        prices_start=today - PRICES_REACH,
        headlines_start=today - HEADLINES_REACH,
    )
    folder.mkdir(parents=True, exist_ok=True)
    unchecked = path.with_suffix(f".{os.getpid()}.toml")
    try:
        unchecked.write_text(text, "utf-8")
        load_settings(unchecked)
        exchange_sessions(exchange, today, today)
        os.link(unchecked, path)
    finally:
        unchecked.unlink(missing_ok=True)
    return path


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
