"""Commands that bring data in: backfill, import, replay, and the check of the sources."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.context import prepared, settings_of

app = typer.Typer()
sources_app = typer.Typer(help="Look at the sources.", no_args_is_help=True)
tickers_app = typer.Typer(help="Look at the names of companies.", no_args_is_help=True)
import_app = typer.Typer(help="Bring in archives you already have.", no_args_is_help=True)
SHOWN = [
    "source", "key", "stale", "last_success_at", "newest_item", "rows", "granularity",
    "ranges", "missing", "next_try", "last_error",
]  # fmt: skip
_DAY: dict[str, Any] = {"metavar": "YYYY-MM-DD", "parser": date.fromisoformat}
FileArgument = Annotated[Path, typer.Argument(help="Delimited text, JSON or Parquet.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column holds which field."),
]


ConstantOption = Annotated[
    list[str] | None,
    typer.Option(
        "--constant", metavar="FIELD=VALUE", help="What a field without a column is in every row."
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="A known format; default: the header decides."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show how the file is read and what is refused, only.")
]


@app.command()
def backfill(
    context: typer.Context,
    start: Annotated[Any, typer.Argument(help="First day, local to the exchange.", **_DAY)],
    end: Annotated[Any, typer.Argument(help="Last day, inclusive.", **_DAY)],
    tickers: Annotated[
        list[str] | None, typer.Option(help="Only these tickers; may be given several times.")
    ] = None,
    what: Annotated[
        list[str] | None, typer.Option(help="prices, headlines, examples, predictions.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    force: Annotated[
        bool, typer.Option("--force/--only-missing", help="Request again what is done.")
    ] = False,
) -> None:
    """Ingest what is missing between two dates, both inclusive; render what depends on it."""
    from tasks.ingest.planning import check_range
    from tasks.ingest.symbols import require_symbols

    check_range(start, end)
    settings = prepared(context)
    from flows.backfill import backfill as backfill_flow
    from flows.backfill import plan_backfill, wanted_kinds
    from flows.cli.console import run_ingest, show_plan

    chosen, kinds = require_symbols(tickers or ()) or None, wanted_kinds(what)
    show_plan(plan_backfill(settings, start, end, chosen, kinds, force=force))
    if dry_run:
        return
    run_ingest(lambda: backfill_flow(settings.selection, start, end, chosen, kinds, force))


@app.command()
def replay(context: typer.Context) -> None:
    """Read every landed payload again with today's parser and publish what differs."""
    settings = prepared(context)
    from flows.cli.console import run_ingest
    from flows.replay import replay as replay_flow

    run_ingest(lambda: replay_flow(settings.selection))


@import_app.command()
def prices(
    context: typer.Context,
    file: FileArgument,
    map_: MapOption = None,
    constant: ConstantOption = None,
    format_: FormatOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Import daily bars from a CSV, JSON or Parquet file."""
    _import(context, "prices", file, _mapping(map_, constant, format_), dry_run=dry_run)


@import_app.command()
def actions(
    context: typer.Context,
    file: FileArgument,
    map_: MapOption = None,
    constant: ConstantOption = None,
    format_: FormatOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Import splits and dividends, best before prices as traded: they explain the steps there."""
    _import(context, "actions", file, _mapping(map_, constant, format_), dry_run=dry_run)


@import_app.command()
def headlines(
    context: typer.Context,
    file: FileArgument,
    map_: MapOption = None,
    constant: ConstantOption = None,
    format_: FormatOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Import dated headlines from a CSV, JSON or Parquet file."""
    _import(context, "headlines", file, _mapping(map_, constant, format_), dry_run=dry_run)


@import_app.command()
def features(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Which sets of [[features]]; default: all.")
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Import columns of your own, as [[features]] of the configuration describes them."""
    settings = prepared(context)
    from flows.cli.console import run_ingest, show_preview
    from flows.features import chosen_features, import_features, preview_features

    wanted = chosen_features(settings, names or ())
    if dry_run:
        for source in wanted:
            show_preview(preview_features(settings, source))
    else:
        chosen = tuple(source.name for source in wanted)
        run_ingest(lambda: import_features(settings.selection, chosen))


def _import(
    context: typer.Context, kind: str, file: Path, mapping: dict[str, Any], *, dry_run: bool
) -> None:
    settings = prepared(context)
    from flows.cli.console import run_ingest, show_preview
    from flows.imports import IMPORTS

    load, preview = IMPORTS[kind]
    if dry_run:
        show_preview(preview(settings, file, mapping))
    else:
        run_ingest(lambda: load(settings.selection, file, mapping))


@sources_app.command()
def check(context: typer.Context) -> None:
    """Show each source: freshness, what is missing, which vendor gave what; fail on an alarm."""
    settings = settings_of(context)
    from flows.cli.tables import say, show_table
    from flows.operations import check_sources, check_vendors

    table, stale = check_sources(settings)
    kept = [name for name in SHOWN if table[name].null_count < table.num_rows]
    show_table(table.select(kept), "sources")
    vendors, drifting = check_vendors(settings)
    if vendors.num_rows:
        show_table(vendors)
    alarms = (*stale, *drifting)
    for alarm in alarms:
        say(alarm, markup=False)
    raise typer.Exit(1 if alarms else 0)


@tickers_app.command("check")
def check_tickers(
    context: typer.Context,
    tickers: Annotated[
        list[str] | None, typer.Argument(help="Which tickers; default: the universe's.")
    ] = None,
) -> None:
    """Show by which names titles find each ticker, by default those of the universe."""
    settings = settings_of(context)
    from flows.cli.tables import show_table
    from tasks.ingest.headlines.identity import alias_coverage, load_aliases
    from warehouse.lake.scratch import scratch

    aliases = load_aliases(settings.universe.aliases)
    with scratch() as engine:
        show_table(alias_coverage(tickers or settings.universe.tickers, aliases, engine))


def _mapping(
    columns: list[str] | None, constants: list[str] | None, format_: str | None
) -> dict[str, Any]:
    mapping: dict[str, Any] = dict(_pairs("--map", "title=text", columns))
    if constants:
        mapping["constants"] = _pairs("--constant", "ticker=AAPL", constants)
    return mapping | ({"format": format_} if format_ else {})


def _pairs(option: str, example: str, texts: list[str] | None) -> dict[str, str]:
    from flows.settings import ConfigurationError

    pairs = {}
    for text in texts or ():
        field, separator, column = text.partition("=")
        if not separator or not field or not column:
            raise ConfigurationError(f"{option} got {text!r}; expected FIELD=…, e.g. {example}.")
        pairs[field] = column
    return pairs
