"""Pages made from the code and ARCHITECTURE.md when the site is built (a hook of mkdocs.yml)."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_json

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = REPOSITORY / "tasks" / "training" / "recipes"
OURS = ("flows", "sandbox", "tasks", "warehouse")

Tables = list[tuple[str, type[BaseModel]]]
"""Keys of the configuration and the models of their tables."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, f"{name}.md", content=make()))
    return files


def architecture_page() -> str:
    """ARCHITECTURE.md, its links as seen from docs/explanation."""
    return (REPOSITORY / "ARCHITECTURE.md").read_text("utf-8").replace("](docs/", "](../")


def cli_page() -> str:
    """Every command with its arguments and options."""
    import typer

    from flows.cli.main import app

    about = (
        "Made from the program itself: what `--help` says, on one page. The options of `newsvane` "
        "stand before or after a command's name. Piped, a table is cut nowhere: all rows, whole "
        "cells. With `--json` or `--csv` it alone is on standard output, everything else on "
        "standard error. Ids may be cut to a beginning that fits no other."
    )
    codes = (
        "| exit code | meaning |\n|---|---|\n| 0 | done |\n"
        "| 1 | something is wrong with what was looked at (`audit`, `verify`, `doctor`, …) |\n"
        "| 2 | not done, or in part; one paragraph says why |\n| 130 | interrupted |"
    )
    parts = ["# Command line", "", about, "", codes, ""]
    for words, command in _commands(typer.main.get_command(app), ()):
        title = " ".join(("newsvane", *words))
        parts += [f"## `{title}`", "", inspect.cleandoc(command.help or ""), ""]
        rows = [row for parameter in command.params if (row := _parameter(parameter))]
        if rows:
            parts += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not command.hidden:
        yield words, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from _commands(inner, (*words, name))


def _parameter(parameter: Any) -> str | None:
    if parameter.name == "help":
        return None
    value = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        label = f"`{parameter.name.upper()}`"
        label += f" as {value}" if value != parameter.name.upper() else ""
        label += "" if parameter.required else ", optional"
    else:
        label = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        label += "" if parameter.is_flag else f" `{value}`"
    default = parameter.default
    shown = "" if default is None or isinstance(default, bool) else f" Default: `{default}`."
    return f"| {_cell(label)} | {_cell((parameter.help or '') + shown)} |"


def configuration_page() -> str:
    """Every key of newsvane.toml with its type and default, by table."""
    from flows.settings import Settings

    parts = [
        "# Configuration",
        "",
        "Made from the code. A key is written in `newsvane.toml`, as `--set KEY=VALUE`, or as "
        "`NEWSVANE_KEY` in the environment with two underscores for each dot "
        "(`NEWSVANE_TRAINING__SEED=7`). The command line is strongest, then the environment, then "
        "the chosen profile, then the file's own tables. An unknown key is an error. Durations are "
        "ISO 8601 (`PT15M`, `P30D`).",
        "",
        "## Top level",
        "",
    ]
    inner: Tables = []
    parts += _table("", Settings, inner, skip=frozenset({"selection"}))
    while inner:
        key, model = inner.pop(0)
        parts += [f"## `{key}`", "", inspect.cleandoc(model.__doc__ or ""), ""]
        deeper: Tables = []
        parts += _table(key, model, deeper)
        inner = deeper + inner
    return "\n".join(parts)


def _table(
    key: str, model: type[BaseModel], inner: Tables, skip: frozenset[str] = frozenset()
) -> list[str]:
    """The rows of one model's fields; models among them are added to `inner`."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    documented = _documented(model)
    for name, field in model.model_fields.items():
        if name in skip or field.exclude:
            continue
        full = f"{key}.{name}" if key else name
        inner += [(full, found) for found in _models(field.annotation)]
        value = field.get_default(call_default_factory=True)
        default = "required" if value is PydanticUndefined else _default(value)
        bounds = ", ".join(_bound(mark) for mark in field.metadata if _bound(mark))
        about = documented.get(name) or field.description or _about(field.annotation)
        meaning = "; ".join(filter(None, (about, bounds)))
        kind = _cell(_kind(field.annotation))
        rows.append(f"| `{full}` | {kind} | {_cell(default)} | {_cell(meaning)} |")
    return [*rows, ""]


def _documented(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields of a model and of those it inherits from, on one line."""
    found = {}
    for owner in reversed(model.__mro__):
        if owner.__module__.partition(".")[0] not in OURS:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(tree, ast.ClassDef)
        for before, after in itertools.pairwise(tree.body):
            if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                words = _constant(after)
                found |= {before.target.id: " ".join(words.split())} if words else {}
    return found


def _constant(node: ast.stmt) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return str(node.value.value) if is_text else ""


def _models(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _about(annotation: Any) -> str:
    """The first sentence about the table that a key holds, if it holds one."""
    documents = [inspect.cleandoc(model.__doc__ or "") for model in _models(annotation)]
    return " ".join(text.partition("\n\n")[0].replace("\n", " ") for text in documents[:1])


def _kind(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "none"
    if origin is Annotated:
        return _kind(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in parts)
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return f"list of {_kind(parts[0])}"
    if origin is tuple:
        return f"[{', '.join(_kind(part) for part in parts)}]"
    if origin is not None and issubclass(origin, Mapping):
        return f"table of {_kind(parts[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    names |= {"timedelta": "duration", "datetime": "instant", "Path": "path"}
    plain = getattr(annotation, "__name__", str(annotation))
    return names.get(plain, plain)


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    text = to_json(value, exclude_none=True).decode()
    return f"`{text}`" if len(text) < 80 else "see `newsvane.toml`"


def _bound(mark: object) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    words |= {"min_length": "at least this many:", "pattern": "matches"}
    for name, word in words.items():
        if (limit := getattr(mark, name, None)) is not None:
            return f"{word} `{limit}`"
    return ""


def recipes_page() -> str:
    """Every shipped recipe as it is, and what its keys mean."""
    from tasks.training.recipe import Recipe

    parts = [
        "# Recipes",
        "",
        "A recipe is one YAML file that says how a model is fine-tuned. `training.recipe` takes a "
        "name from this page or a path. What each section does is on the page "
        "[Fine-tuning](training.md).",
        "",
    ]
    for path in sorted(RECIPES.glob("*.yaml")):
        parts += [f"## `{path.stem}`", "", "```yaml", path.read_text("utf-8").rstrip(), "```", ""]
    inner: Tables = []
    parts += ["## Every key", "", inspect.cleandoc(Recipe.__doc__ or ""), ""]
    parts += _table("", Recipe, inner)
    for key, model in inner:
        parts += [f"### `{key}`", "", inspect.cleandoc(model.__doc__ or ""), ""]
        parts += _table(key, model, [])
    return "\n".join(parts)


def published_page() -> str:
    """Every published figure with its source, and why the leak alarm is where it is."""
    from tasks.evaluation.published import PUBLISHED, figures_table

    alarm = PUBLISHED.alarm
    about = (
        "Made from `tasks/evaluation/published.toml`, the one place that states them. Accuracy and "
        "MCC are as printed; none has an interval. *Primary* figures are those of the paper that "
        "proposes the method; *secondary* ones are known from other papers' tables alone. None was "
        "checked in the papers here. What came of training such methods on the same files is on "
        "the page [Replication](replication.md)."
    )
    reason = (
        f"At {100 * alarm.accuracy:.0f} % accuracy and an MCC of {alarm.mcc:.2f}. {alarm.reason}"
    )
    alarm_title = "## Where the leak alarm begins"
    parts = ["# Published figures", about, figures_table(), alarm_title, reason]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/cli": cli_page,
    "reference/configuration": configuration_page,
    "reference/recipes": recipes_page,
    "reference/published": published_page,
    "explanation/architecture": architecture_page,
}
