"""The command line, called in this process or, where that is what is tested, in one of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tasks.training.process import persistent_worker

REPOSITORY = Path(__file__).resolve().parents[2]
WIDTH = 200
Answer = subprocess.CompletedProcess[str]
Newsvane = Callable[..., Answer]


@pytest.fixture
def newsvane(tmp_path: Path) -> Newsvane:
    """Run the command in this process with its data below tmp_path.

    Flows are recorded by the server that `prefect_runs` chose; a command that runs one needs it.
    """

    def run(*words: str, **environment: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with as_if_alone(words, {**_below(tmp_path), **environment}):
            from flows.cli.main import main

            with redirect_stdout(out), redirect_stderr(err):
                try:
                    main()
                    code = 0
                except SystemExit as stop:
                    code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def newsvane_process(tmp_path: Path) -> Newsvane:
    """Run the command in a process of its own with its data below tmp_path, knowing no server."""

    def run(*words: str, **environment: str) -> Answer:
        own = {**without_prefect(), **_below(tmp_path)}
        if "PREFECT_API_URL" in environment:
            own["PREFECT_API_AUTH_STRING"] = os.environ["PREFECT_API_AUTH_STRING"]
        environment = {**own, **environment}
        return run_to_its_end(command_of(*words), environment=environment)

    return run


@pytest.fixture(scope="session")
def training_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One training process for all tests of a worker: its start takes longer than most jobs."""
    with persistent_worker(tmp_path_factory.mktemp("training") / "worker.log"):
        yield


def run_to_its_end(
    words: list[str], folder: Path = REPOSITORY, environment: dict[str, str] | None = None
) -> Answer:
    """Run a program and keep what it says; the limit is for what hangs."""
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


def command_of(*words: str) -> list[str]:
    """The words that start `newsvane` in a process of its own."""
    return [sys.executable, "-m", "flows.cli.main", *words]


def without_prefect() -> dict[str, str]:
    """This process's environment less Prefect's settings."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}


@contextmanager
def as_if_alone(words: tuple[str, ...], environment: dict[str, str]) -> Iterator[None]:
    """Arguments, folder, environment and signals of a command; afterwards all are as before."""
    before = dict(os.environ)
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["newsvane", *words])
        patch.setattr("flows.cli.tables.console.width", WIDTH)  # else as wide as at its import
        patch.chdir(REPOSITORY)
        os.environ.update(environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            for one, handler in handlers.items():
                signal.signal(one, handler)


def _below(folder: Path) -> dict[str, str]:
    return {"NEWSVANE_DATA_ROOT": str(folder / "data"), "COLUMNS": str(WIDTH)}
