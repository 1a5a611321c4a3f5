"""The configuration file and its profiles, as plain tables; `settings.py` checks them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class ConfigurationError(ValueError):
    """The configuration cannot be used; the message names the key, the value and the remedy."""


def read(path: Path, *, required: bool) -> dict[str, Any]:
    """The file's tables; none when it is absent and not `required`. Raises ConfigurationError."""
    if not path.is_file():
        if required:
            raise ConfigurationError(
                f"Configuration file {path} does not exist; expected a TOML file. "
                "Correct --config, or leave it out to use ./newsvane.toml."
            )
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}. Correct that line and run the command again."
        ) from error


def profiled(tables: dict[str, Any], profile: str | None, path: Path) -> dict[str, Any]:
    """The base tables under those of a profile and of the profiles it inherits from."""
    profiles = tables.pop("profiles", {})
    configured = tables.pop("profile", None)
    name = profile or configured
    seen: list[str] = []
    chain = []
    while name is not None:
        if name not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise ConfigurationError(
                f"Profile {name!r} is not defined in {path}; it defines: {known}. "
                f"Choose one of these or add a [profiles.{name}] table."
            )
        if name in seen:
            raise ConfigurationError(
                f"Profile {name!r} in {path} inherits from itself by way of {' and '.join(seen)}; "
                "remove one `inherits`."
            )
        seen.append(name)
        chain.append({key: value for key, value in profiles[name].items() if key != "inherits"})
        name = profiles[name].get("inherits")
    for table in reversed(chain):
        tables = _merged(tables, table)
    return tables


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def parsed(overrides: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as nested tables; a value that is no TOML is taken as a text."""
    tree: dict[str, Any] = {}
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigurationError(
                f"--set got {text!r}; expected KEY=VALUE, e.g. training.seed=7."
            )
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value.strip()
        *parents, leaf = key.strip().split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = parsed
    return tree
