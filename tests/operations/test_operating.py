"""What people who run this need: forms, schedules that know holidays, upkeep and backups."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from flows.settings import AlarmSpec, ConfigSelection, load_settings
from tests.builders.command_line import REPOSITORY, Newsvane
from warehouse.ops.maintenance import Upkeep

pytestmark = pytest.mark.slow


def selection(root: Path, now: str) -> ConfigSelection:
    return ConfigSelection(
        config=REPOSITORY / "newsvane.toml", overrides=(f"data_root={root}", f"sandbox.now={now}")
    )


def test_every_parameter_of_every_form_is_explained() -> None:
    from flows.platform.deployments import deployments

    for made in deployments(load_settings(REPOSITORY / "newsvane.toml")):
        assert made.description, made.name
        for name, shown in made._parameter_openapi_schema.properties.items():
            assert shown.get("description"), f"{made.name}: {name}"


def test_file_for_work_pools_says_what_the_code_says() -> None:
    from flows.platform.deployments import AT_ONCE, deployments, schedules

    live = load_settings(REPOSITORY / "newsvane.toml", "live")
    text = (REPOSITORY / "prefect.yaml").read_text(encoding="utf-8")
    filed = {entry["name"]: entry for entry in yaml.safe_load(text)["deployments"]}
    made = {deployment.name for deployment in deployments(live)}
    assert set(filed) == made - {"whole-job"}
    for name, entry in filed.items():
        limit = entry.get("concurrency_limit")
        assert (limit and tuple(limit.values())) == AT_ONCE.get(name), name
    for name, planned in schedules(live).items():
        planned_times = [
            {
                "cron": plan.schedule.cron,
                "timezone": plan.schedule.timezone,
                "slug": plan.slug,
                **({"parameters": plan.parameters} if plan.parameters else {}),
            }
            for plan in planned
        ]
        assert filed[name]["schedules"] == planned_times


@pytest.mark.parametrize(
    ("exchange", "zone", "hours"),
    [("XNYS", "America/New_York", ["15 9", "30 17"]), ("XLON", "Europe/London", ["45 7", "0 18"])],
)
def test_schedule_is_in_the_time_of_the_exchange(
    exchange: str, zone: str, hours: list[str]
) -> None:
    from flows.platform.deployments import daily_schedules

    planned = [made.schedule for made in daily_schedules(exchange)]
    assert [plan.timezone for plan in planned] == [zone, zone]
    assert [plan.cron.removesuffix(" * * 1,2,3,4,5") for plan in planned] == hours


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"tickers": ["../etc"]}, "tickers"),
        ({"tickers": []}, "tickers"),
        ({"what": ["weather"]}, "what"),
        ({"start": "yesterday"}, "start"),
    ],
)
def test_unusable_parameter_is_refused_by_name(parameters: dict[str, object], named: str) -> None:
    from flows.backfill import backfill

    given = {"selection": {}, "start": "2012-06-04", "end": "2012-06-08", **parameters}
    with pytest.raises(Exception, match=named):
        backfill.validate_parameters(given)


def test_scheduled_run_on_a_holiday_is_skipped_and_says_why(
    prefect_runs: str, tmp_path: Path
) -> None:
    from flows.jobs import daily

    christmas = selection(tmp_path, "2012-12-25T14:15:00Z")
    state = daily(christmas, skip_closed_days=True, return_state=True)
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert "XNYS holds no session on Tuesday" in state.message
    assert state.result().end == date(2012, 12, 25)
    assert not (tmp_path / "lake").exists()


def test_run_that_lacks_a_ticker_completes_as_incomplete(prefect_runs: str, tmp_path: Path) -> None:
    from flows.backfill import backfill

    chosen = selection(tmp_path, "2012-12-25T14:15:00Z")
    days = (date(2012, 6, 4), date(2012, 6, 8))
    state = backfill(chosen, *days, ("IBM", "NOPE"), ("prices",), return_state=True)
    assert (state.name, state.is_completed()) == ("Incomplete", True)
    assert "NOPE" in state.message
    assert state.result().bars >= 5


def test_unknown_setting_of_an_alarm_is_refused() -> None:
    with pytest.raises(ValidationError, match="block"):
        AlarmSpec(block="Slack Webhook")


def test_warehouse_is_backed_up_verified_and_restored_by_command(
    newsvane: Newsvane, tmp_path: Path
) -> None:
    folder = str(tmp_path / "backup")
    assert newsvane("backup", folder).returncode == 0
    assert "are as they were backed up" in newsvane("verify-backup", folder).stdout
    there = {"NEWSVANE_DATA_ROOT": str(tmp_path / "there")}
    assert "Restored" in newsvane("restore", folder, **there).stdout
    count = newsvane("sql", "select count(*) as versions from schema_versions", **there)
    assert count.returncode == 0
    again = newsvane("restore", folder, **there)
    assert again.returncode == 2
    assert "never overwrites" in again.stderr


def test_maintenance_flow_backs_up_after_it(prefect_runs: str, tmp_path: Path) -> None:
    from flows.operations import maintenance

    chosen = selection(tmp_path / "data", "2012-12-25T14:15:00Z")
    assert maintenance(chosen, tmp_path / "backup") == Upkeep()
    assert (tmp_path / "backup" / "backup.json").is_file()
