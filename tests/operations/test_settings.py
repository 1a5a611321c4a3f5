"""A mistake in the configuration is explained in words and nothing runs with half of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import ConfigurationError, load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "newsvane.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_and_all_its_profiles_are_valid() -> None:
    shipped = Path(__file__).resolve().parents[2] / "newsvane.toml"
    for profile in ("sandbox", "sandbox-null", "stocknet", "live"):
        assert load_settings(shipped, profile).data_root.is_relative_to(shipped.parent)


def test_unknown_key_is_refused_with_its_name_and_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[universe]\ntikcers = ["AAPL"]\n')
    with pytest.raises(ConfigurationError, match=r"universe\.tikcers is not a setting") as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"not valid TOML.*line 1"):
        load_settings(write(tmp_path, "[universe\n"))


def test_unknown_profile_lists_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "[profiles.night]\n[profiles.day]\n")
    with pytest.raises(ConfigurationError, match=r"'noon'.*day, night"):
        load_settings(path, "noon")


def test_profile_that_inherits_from_itself_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, '[profiles.a]\ninherits="b"\n[profiles.b]\ninherits="a"\n')
    with pytest.raises(ConfigurationError, match="inherits from itself"):
        load_settings(path, "a")


def test_command_line_beats_environment_beats_profile_beats_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path, "[training]\nseed = 1\nrecipe = 'base'\n" + "[profiles.p.training]\nseed = 2\n"
    )
    assert load_settings(path).training.seed == 1
    assert load_settings(path, "p").training.seed == 2
    monkeypatch.setenv("NEWSVANE_TRAINING__SEED", "3")
    assert load_settings(path, "p").training.seed == 3
    settings = load_settings(path, "p", ["training.seed=4"])
    assert settings.training.seed == 4
    assert settings.training.recipe == "base"


def test_all_data_moves_with_the_data_root(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "data_root = 'elsewhere'\n"))
    below = tmp_path / "elsewhere"
    assert settings.warehouse.catalog == f"sqlite:{below / 'catalog.sqlite'}"
    places = (settings.warehouse.storage, settings.warehouse.landing, settings.prices.cache)
    assert all(Path(place).is_relative_to(below) for place in places)


def test_tables_of_earlier_releases_are_read_under_their_new_names_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path,
        "[patience]\nattempts = 7\nrequest_budget = 9\ndeadline = 60.0\nbody_limit = 5\n"
        "[feed_limits]\nlongest_wait = 3.0\nrequests = 11\nwire_bytes = 13\n"
        "[http.prices]\nrequests = 10\n",
    )
    monkeypatch.setenv("NEWSVANE_PATIENCE__REDIRECT_LIMIT", "2")
    with pytest.warns(FutureWarning, match=r"\[(patience|feed_limits)\] are now \[http"):
        http = load_settings(path, overrides=["patience.first_wait=0.5"]).http
    assert (http.prices.retry.attempts, http.prices.retry.first_wait.total_seconds()) == (7, 0.5)
    assert (http.prices.requests, http.prices.body_bytes, http.prices.redirects) == (10, 5, 2)
    assert http.prices.run_deadline == timedelta(seconds=60)
    assert http.feeds.retry.longest_wait == timedelta(seconds=3)
    assert (http.feeds.requests, http.feeds.wire_bytes) == (11, 13)


def test_unknown_key_below_an_earlier_name_is_still_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "[patience]\natempts = 7\n")
    with (
        pytest.warns(FutureWarning),
        pytest.raises(ConfigurationError, match=r"http\.prices\.atempts is not a setting"),
    ):
        load_settings(path)
