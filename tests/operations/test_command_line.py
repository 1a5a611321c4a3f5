"""Bad input or configuration ends in one paragraph; what was good is published all the same."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import ConfigurationError, load_settings
from tests.builders.command_line import REPOSITORY, Answer, Newsvane
from warehouse.lake import Lake

WEEK = ("2012-06-04", "2012-06-08")


def paragraph(answer: Answer) -> str:
    """The error as one line of text, after checking that it is an error and no traceback."""
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout
    words = answer.stderr[answer.stderr.index("newsvane: ") :]
    assert "\n\n" not in words.strip()
    return re.sub(r"\s+", " ", words)


def require_light(module: str, heavy: set[str]) -> None:
    """Import `module` in a process of its own; none of `heavy` may come along."""
    code = f"import sys, {module}; print({heavy} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_help_answers_without_heavy_imports(newsvane: Newsvane) -> None:
    require_light("flows.cli.main", {"torch", "prefect", "duckdb", "pandas", "pydantic_settings"})
    assert "backfill" in newsvane("--help").stdout


def test_doctor_needs_neither_orchestrator_nor_pandas() -> None:
    require_light("flows.cli.doctor", {"torch", "prefect", "pandas"})


def test_malformed_configuration_key(newsvane: Newsvane) -> None:
    error = paragraph(newsvane("--set", "universe.tikcers=[]", "sql", "select 1"))
    assert "universe.tikcers is not a setting" in error
    assert "nothing was run" in error


def test_start_after_end(newsvane: Newsvane) -> None:
    error = paragraph(newsvane("backfill", "2012-06-08", "2012-06-04"))
    assert "starts at 2012-06-08 and ends at 2012-06-04" in error
    assert "Swap the two dates" in error


def test_unreadable_query(newsvane: Newsvane) -> None:
    assert "SELECT" in paragraph(newsvane("sql", "delete from bars"))
    assert "could not be parsed" in paragraph(newsvane("sql", "selec 1"))


def test_taken_port(newsvane: Newsvane) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        error = paragraph(newsvane("ui", "--port", str(port)))
    assert f"Port {port} on 127.0.0.1 is taken" in error
    assert "newsvane ui --port" in error


@pytest.mark.parametrize(
    ("words", "code"), [(("audit", "lookahead"), 2), (("verify",), 1), (("models", "list"), 0)]
)
def test_nothing_to_look_at_is_said_and_is_no_success_of_a_check(
    newsvane: Newsvane, words: tuple[str, ...], code: int
) -> None:
    done = newsvane(*words)
    assert done.returncode == code, done.stderr
    assert ("models: none" if code == 0 else "Nothing to check: ") in done.stdout + done.stderr


def test_no_data_set_yet(newsvane: Newsvane) -> None:
    assert "newsvane dataset build" in paragraph(newsvane("dataset", "show"))


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_runs")
class TestAgainstTheVendor:
    """Faults of the outside world, through the whole command."""

    def count(self, tmp_path: Path, table: str, **where: str) -> int:
        settings = load_settings(overrides=[f"data_root={tmp_path / 'data'}"])
        with Lake.open(settings.warehouse) as lake:
            rows = lake.sql(f"SELECT * FROM {table}")
        return sum(where.items() <= row.items() for row in rows.to_pylist())

    def test_unknown_ticker_is_named_and_the_others_are_published(
        self, newsvane_process: Newsvane, prefect_runs: str, tmp_path: Path
    ) -> None:
        words = ("--set", 'universe.tickers=["IBM", "NOPE"]', "backfill", *WEEK)
        error = paragraph(newsvane_process(*words, PREFECT_API_URL=prefect_runs))
        assert "NOPE" in error
        assert "All the rest was published" in error
        assert self.count(tmp_path, "bars", ticker="IBM") >= 5
        assert self.count(tmp_path, "partitions", key="NOPE", state="failed") >= 1

    def test_empty_price_frame_is_an_error_and_a_rerun_asks_only_for_what_failed(
        self, newsvane: Newsvane, tmp_path: Path
    ) -> None:
        error = paragraph(self.faulty(newsvane, kind="empty_frame", ticker="IBM"))
        assert "IBM" in error
        assert self.count(tmp_path, "bars", ticker="MSFT") >= 5
        healed = newsvane(*self.tickers(), "backfill", *WEEK)
        assert healed.returncode == 0, healed.stderr
        assert self.count(tmp_path, "bars", ticker="IBM") >= 5
        again = newsvane(*self.tickers(), "backfill", *WEEK)
        assert "0 requests, 0 bars" in again.stdout

    def test_corrupt_feed_is_named_and_kept_and_prices_go_on(
        self, newsvane: Newsvane, tmp_path: Path
    ) -> None:
        error = paragraph(self.faulty(newsvane, kind="html_page", ticker="IBM", path="/rss"))
        assert "sandbox-search IBM" in error
        assert self.count(tmp_path, "bars", ticker="IBM") >= 5
        assert self.count(tmp_path, "headlines") >= 1
        assert self.count(tmp_path, "quarantine") >= 1

    def test_own_alias_file_names_the_tickers_of_an_archive(
        self, newsvane: Newsvane, tmp_path: Path
    ) -> None:
        names = tmp_path / "mine.csv"
        names.write_text(
            "ticker,exchange,alias,kind,valid_from,valid_to\n"
            "ZORP,XNYS,Zorp Works,name,1990-01-01,\n"
        )
        archive = tmp_path / "news.csv"
        archive.write_text("when,what\n2012-06-05T12:00:00Z,Zorp Works opens a second mill\n")
        columns = ("--map", "title=what", "--map", "published_at=when", "--map", "source=mill")
        where = ("--set", f"universe.aliases={json.dumps(str(names))}")
        imported = newsvane(*where, "import", "headlines", str(archive), *columns)
        assert imported.returncode == 0, imported.stderr
        assert self.count(tmp_path, "headline_tickers", ticker="ZORP") == 1
        names.unlink()
        lost = newsvane(*where, "import", "headlines", str(archive), *columns)
        assert "alias file mine.csv could not be read" in paragraph(lost)

    def tickers(self) -> tuple[str, str]:
        return ("--set", 'universe.tickers=["IBM", "MSFT"]')

    def faulty(self, newsvane: Newsvane, **fault: str) -> Answer:
        plan = ", ".join(f"{key} = {json.dumps(value)}" for key, value in fault.items())
        faults = f"sandbox.faults={{ faults = [{{ {plan} }}] }}"
        return newsvane("--set", faults, *self.tickers(), "backfill", *WEEK)


def write(folder: Path, text: str) -> Path:
    path = folder / "newsvane.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_and_all_its_profiles_are_valid() -> None:
    shipped = REPOSITORY / "newsvane.toml"
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


def test_profile_of_the_environment_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "profile = 'a'\n" + "".join(
        f"[profiles.{name}.training]\nseed = {seed}\n" for seed, name in enumerate("abc", 1)
    )
    path = write(tmp_path, text)
    assert load_settings(path).training.seed == 1
    monkeypatch.setenv("NEWSVANE_PROFILE", "b")
    assert load_settings(path).training.seed == 2
    assert load_settings(path).selection.profile == "b"  # runs elsewhere are told
    assert load_settings(path, "c").training.seed == 3
    monkeypatch.setenv("NEWSVANE_PROFILE", "night")
    with pytest.raises(ConfigurationError, match="'night' is not defined"):
        load_settings(path)
    monkeypatch.setenv("NEWSVANE_PROFILE", " ")
    assert load_settings(path).training.seed == 1


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
