"""A page must not print what the program does not take, or leave out what the program has."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from flows.cli.main import app
from flows.settings import ConfigurationError, Settings, load_settings
from tasks.training.recipe import Recipe, load_recipe
from tests.builders.command_line import REPOSITORY, run_to_its_end
from warehouse.lake import Lake, sql
from warehouse.lake.comments import comments_in

GENERATED = (
    "reference/cli",
    "reference/configuration",
    "reference/recipes",
    "reference/data-dictionary",
    "reference/published",
    "explanation/architecture",
)

NAMING_FILES = ("newsvane.toml", "prefect.yaml", "mkdocs.yml", "Makefile")
NOT_OURS = {"docker/.env", "index.html", "mine.yaml"}  # files that a reader or the program makes


def parse(command: Any, words: list[str], parent: Any = None) -> Iterator[dict[str, Any]]:
    """Read the words as the program would and yield each level's parameters; run nothing."""
    with command.make_context(command.name, list(words), parent=parent) as context:
        yield context.params
        if hasattr(command, "commands"):
            rest = [*context._protected_args, *context.args]
            _, inner, rest = command.resolve_command(context, rest)
            yield from parse(inner, rest, context)


def configured(page: Any, folder: Path, *blocks: str) -> Path:
    """The shipped configuration with the page's own tables behind it."""
    path = folder / "newsvane.toml"
    shipped = (REPOSITORY / "newsvane.toml").read_text("utf-8")
    path.write_text("\n".join((shipped, *blocks)), "utf-8")
    return path


def test_printed_commands_are_commands_of_the_program(page: Any, tmp_path: Path) -> None:
    config = configured(page, tmp_path, *page.all("toml"))
    for words in page.commands():
        shared, *_ = parse(typer.main.get_command(app), words)
        load_settings(config, shared["profile"], shared["set_"] or ())


def test_printed_toml_is_configuration(page: Any, tmp_path: Path) -> None:
    for block in page.all("toml"):
        config = configured(page, tmp_path, block)
        own = re.findall(r"^\[profiles\.(\w+)\]", block, re.MULTILINE)
        for profile in own or [None]:
            load_settings(config, profile)


def test_a_wrong_command_or_key_would_be_noticed(tmp_path: Path) -> None:
    command = typer.main.get_command(app)
    for words in (["backfil"], ["backfill", "2012-01-01"], ["dataset", "build", "--fast"]):
        with pytest.raises(Exception, match=r"(?i)no such|missing"):
            list(parse(command, words))
    with pytest.raises(ConfigurationError, match="horizont"):
        load_settings(configured(None, tmp_path, "[dataset.label]\nhorizont = 5\n"))


def _read_by_tests() -> set[str]:
    sources = (path.read_text("utf-8") for path in REPOSITORY.glob("tests/**/*.py"))
    reads = re.compile(r"""environ(?:\.get\(|\[)"(NEWSVANE_[A-Z_]+)""")
    return {name for text in sources for name in reads.findall(text)}


def test_printed_variables_are_settings(pages: list[Any]) -> None:
    ours = {"NEWSVANE_HOME", "NEWSVANE_KEY", "NEWSVANE_PROFILE", "NEWSVANE_STACK"}
    ours |= _read_by_tests()
    for page in pages:
        for name in set(re.findall(r"NEWSVANE_[A-Z_]+[A-Z]", page.text)) - ours:
            model: Any = Settings
            for part in name.removeprefix("NEWSVANE_").lower().split("__"):
                assert part in model.model_fields, f"{page.name} prints {name}"
                model = model.model_fields[part].annotation


def test_printed_recipe_is_a_recipe(pages: list[Any], tmp_path: Path) -> None:
    (text,) = [
        text for page in pages if page.name == "docs/how-to/recipe.md" for text in page.all("yaml")
    ]
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    assert load_recipe(str(path)).name == "mine"


def hook(name: str) -> ModuleType:
    """A module that the site's build loads by its path."""
    path = REPOSITORY / "docs" / "reference" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The hook that makes the reference pages."""
    return hook("generate")


@pytest.fixture(scope="module")
def dictionary() -> ModuleType:
    """The hook that makes the data dictionary."""
    return hook("dictionary")


def test_dictionary_names_every_column_of_a_real_warehouse(dictionary: Any, lake: Lake) -> None:
    stored = lake.sql(
        "select table_name as t, column_name as c, data_type as d, not is_nullable as filled "
        "from duckdb_columns() where database_name = 'lake' and schema_name = 'main'"
    ).to_pylist()

    def spelled(kind: str) -> str:
        return kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ").replace('"', "")

    actual = {(row["t"], row["c"], spelled(row["d"]), row["filled"]) for row in stored}
    documented = {
        (name, *column)
        for name, text in sql.relations("schema").items()
        for column in dictionary.columns_of(text)
    }
    assert documented == actual
    page = dictionary.dictionary_page()
    views = sql.relations("views").keys()
    assert views
    assert all(f"## `{name}`" in page for name in {row["t"] for row in stored} | views)


def test_no_table_and_no_column_is_without_a_meaning() -> None:
    schema = sql.relations("schema")
    for table, text in schema.items():
        meaning = comments_in(text)
        columns = re.findall(r"^    (\w+) +[A-Z]", text, re.MULTILINE)
        assert list(meaning) == [table, *(f"{table}.{column}" for column in columns)]
        assert meaning[table].startswith("One row per "), f"{table} does not state its grain first"
        nullable = re.findall(r"^    (\w+) +[A-Z](?!.* NOT NULL)", text, re.MULTILINE)
        for name, words in meaning.items():
            assert len(words) > 10, name
            assert words.endswith("."), name
        instants = re.findall(r"^    (\w+) +TIMESTAMPTZ", text, re.MULTILINE)
        days = re.findall(r"^    (\w+) +DATE\b(?!\[)", text, re.MULTILINE)
        for column in nullable:
            assert "NULL" in meaning[f"{table}.{column}"], f"{table}.{column}: what NULL means"
        for column in instants:
            assert "UTC instant" in meaning[f"{table}.{column}"], f"{table}.{column}: its zone"
        for column in days:
            assert re.search("(?i)date", meaning[f"{table}.{column}"]), f"{table}.{column}: a date"


def test_every_table_has_a_writer_and_what_examples_are_made_of_is_known(dictionary: Any) -> None:
    known = dictionary.lineage()
    unwritten = [name for name in known.writers if not known.writers[name] + known.modules[name]]
    assert unwritten == []
    of_examples = {origin for origin, table in known.edges if table == "examples"}
    assert of_examples >= {"bars", "actions", "headlines", "headline_tickers", "sessions"}
    # Nothing that is known only after the decision may lead back into an example.
    assert not of_examples & {"predictions", "evaluations", "datasets", "models", "looks"}
    assert ("predictions", "seals") in known.edges
    picture = dictionary.graph(known)
    assert picture.count("<rect") == len(known.writers)
    assert picture.count("url(#tip)") == len(known.edges)


def test_lineage_looks_through_relations_and_past_names_of_a_statement(dictionary: Any) -> None:
    text = (
        "-- grain: one row, FROM models\nWITH bars AS (\n    SELECT * FROM sessions\n)\n"
        "SELECT * FROM bars JOIN fresh_examples USING (ticker) -- FROM looks"
    )
    with sql.override("example_of_session", f"-- feeds: checks\n{text}"):
        made = sys.modules["lineage"].lineage.__wrapped__()
    origins = {origin for origin, table in made.edges if table == "checks"}
    assert {"sessions", "headlines"} <= origins
    assert not {"models", "looks"} & origins


def test_reference_names_every_command_and_every_key(
    generate: ModuleType, dictionary: ModuleType
) -> None:
    assert {*generate.PAGES, *dictionary.PAGES} == set(GENERATED)
    printed = generate.cli_page()
    for words, command in generate._commands(typer.main.get_command(app), ()):
        assert f"## `{' '.join(('newsvane', *words))}`\n" in printed
        assert command.help
        for parameter in command.params:
            assert parameter.name == "help" or parameter.help, f"{words}: {parameter.name}"
    keys = generate.configuration_page()
    for key in ("`dataset.label.horizon`", "`feeds.url`", "`warehouse.catalog`", "`sandbox.now`"):
        assert key in keys
    assert all(
        f"## `{path.stem}`" in generate.recipes_page() for path in generate.RECIPES.glob("*.yaml")
    )


def test_no_setting_and_no_key_of_a_recipe_is_without_a_meaning(generate: ModuleType) -> None:
    def of(model: Any, key: str) -> Iterator[str]:
        documented = generate._documented(model)
        for name, field in model.model_fields.items():
            if not field.exclude or name == "name":
                inner = generate._models(field.annotation)
                if not (documented.get(name) or field.description or any(m.__doc__ for m in inner)):
                    yield f"{key}{name}"
                for found in inner:
                    yield from of(found, f"{key}{name}.")

    assert list(of(Settings, "")) == []
    assert list(of(Recipe, "")) == []
    page = generate.configuration_page()
    assert '| `stale_after` | duration | `"P4D"` | A source that has not answered' in page


def test_every_page_is_in_the_navigation_and_every_link_leads_somewhere(pages: list[Any]) -> None:
    docs = REPOSITORY / "docs"
    menu = (REPOSITORY / "mkdocs.yml").read_text("utf-8")
    generated = {docs / f"{name}.md" for name in GENERATED}
    for page in pages:
        path = page.path
        if path.is_relative_to(docs):
            assert f"{path.relative_to(docs).as_posix()}\n" in menu, f"{page.name} is in no menu"
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" in target:
                continue
            aim = (path.parent / target).resolve()
            assert aim.exists() or aim in generated, f"{page.name} links to {target}"


def test_every_path_that_is_named_exists(pages: list[Any]) -> None:
    room = r"(?:benchmarks|docker|docs|flows|newsvane|sandbox|tasks|tests|validation|warehouse)"
    path = re.compile(rf"(?<![\w./-]){room}/[\w./*-]*[\w/*]")
    bare = re.compile(r"`([\w-]+\.(?:css|html|md|py|sql|toml|yaml))`")
    run = re.compile(rf"python -m ({room}[\w.]*)")
    named = {name: (REPOSITORY / name).read_text("utf-8") for name in NAMING_FILES}
    named |= {page.name: page.text for page in pages}
    sketches = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)  # of what was not decided
    named |= {name: sketches.sub("", text) for name, text in named.items() if "/adr/" in name}
    ours = list(_ours())
    everywhere = {found.name for found in ours}
    missing = []
    for page, text in named.items():
        modules = {name.replace(".", "/") for name in run.findall(text)}
        wanted = set(path.findall(text)) | {f"{name}*" for name in modules}
        missing += [(page, name) for name in wanted - NOT_OURS if not any(REPOSITORY.glob(name))]
        missing += [(page, name) for name in set(bare.findall(text)) - everywhere - NOT_OURS]
    pointer = re.compile(r"docs/[\w/-]+\.md")
    for source in (found for found in ours if found.suffix == ".py"):
        names = set(pointer.findall(source.read_text("utf-8")))
        missing += [(source.name, name) for name in names if not (REPOSITORY / name).exists()]
    assert not missing


def test_printed_imports_work(pages: list[Any]) -> None:
    line = re.compile(r"^from (\S+) import (.+?)(?:  #.*)?$", re.MULTILINE)
    for page in pages:
        for module, names in line.findall("\n".join(page.all("python"))):
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name), f"{page.name}: {module}"


def _ours() -> Iterator[Path]:
    for path in REPOSITORY.iterdir():
        if path.is_file():
            yield path
        elif not path.name.startswith((".", "data", "build")):
            yield from (found for found in path.rglob("*") if found.is_file())


def test_site_builds_strictly_and_asks_nobody(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    done = run_to_its_end(words)
    assert done.returncode == 0, done.stdout + done.stderr
    html = list(tmp_path.rglob("*.html"))
    assert len(html) > 40
    asked = re.compile(
        r"""<(?:script|img|iframe|source)[^>]+src=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//"""
    )
    for path in html:
        found = asked.findall(path.read_text("utf-8"))
        assert not found, f"{path.name} fetches {found}"
    for path in tmp_path.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", path.read_text("utf-8")), path.name


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("NEWSVANE_TUTORIAL"),
    reason="set NEWSVANE_TUTORIAL=1: it takes a quarter of an hour",
)
@pytest.mark.parametrize(
    ("name", "made"), [("cpu", "report/index.html"), ("edgar", "edgar/datasets")]
)
def test_tutorial_works_as_printed_from_nothing(
    pages: list[Any], tmp_path: Path, name: str, made: str
) -> None:
    (page,) = [page for page in pages if page.name == f"docs/tutorial/{name}.md"]
    configured(page, tmp_path, *page.all("toml"))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NEWSVANE_", "PREFECT_", "PYTEST_"))
    }
    for block in page.blocks:
        if block.language == "python":
            attempt([sys.executable, "-c", block.text], tmp_path, environment)
        for words in block.commands():
            known = [newest_model(tmp_path) if word == "MODEL" else word for word in words]
            attempt([sys.executable, "-m", "flows.cli.main", *known], tmp_path, environment)
    assert (tmp_path / "data" / made).exists()


def attempt(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run it as a reader would; any exit but success fails the test with what was said."""
    done = run_to_its_end(words, folder, environment)
    sys.stdout.write(f"$ {' '.join(words[2:])}\n{done.stdout}\n")
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def newest_model(folder: Path) -> str:
    import newsvane

    with newsvane.connect(folder / "data") as reader:
        return reader.models()[0].model_id
