"""The configuration file and its profiles, as plain tables; `settings.py` checks them."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Tables of earlier releases: the client of [http] they became, and their keys that have new names.
_EARLIER_TABLES = {
    "patience": (
        "prices",
        {
            "request_budget": "requests",
            "deadline": "run_deadline",
            "body_limit": "body_bytes",
            "redirect_limit": "redirects",
        },
    ),
    "feed_limits": ("feeds", {}),
}
_RETRY_KEYS = frozenset({"attempts", "first_wait", "longest_wait"})


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


def with_new_names(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with those of earlier releases under their new names, with a FutureWarning.

    Where both are given the new name counts.
    """
    result = dict(tables)
    for name, (client, new_keys) in _EARLIER_TABLES.items():
        given = result.pop(name, None)
        if not given:
            continue
        warnings.warn(
            f"The settings [{name}] are now [http.{client}], with attempts and waits in "
            f"[http.{client}.retry]; rename them, the next release refuses the earlier name.",
            FutureWarning,
            stacklevel=2,
        )
        limits = {new_keys.get(key, key): given[key] for key in given.keys() - _RETRY_KEYS}
        limits["retry"] = {key: given[key] for key in given.keys() & _RETRY_KEYS}
        result["http"] = _merged({client: limits}, result.get("http", {}))
    return result


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
