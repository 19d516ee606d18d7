"""Commands that say how things stand: status, quarantine, decks, and the documents as pages."""

from pathlib import Path

import click
import duckdb

from orchestration import settings
from orchestration.cli import shared


@click.command()
@shared.json_option
def status(in_json: bool) -> None:
    """What has landed, what is held back and why, what is published."""
    from orchestration import summary

    home = settings.home()
    if in_json:
        with shared.reading(home):
            shared.answer(summary.status(home))
    else:
        summary.print_status(home, shared.console())


@click.command()
@click.option(
    "--carrier",
    shell_complete=shared.completed_from("carrier_id", "dim_carriers"),
    help="Only the decks of this carrier.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Findings to show.")
@shared.json_option
def decks(carrier: str | None, limit: int, in_json: bool) -> None:
    """What is odd about carriers' decks: gaps, overlaps, orphan codes, late increases, prices unlike their neighbours.

    As the last run found it. Nothing is rated by it; docs/landing.md says what each finding means.
    """
    from orchestration import deck_findings

    with shared.reading(settings.home()) as warehouse:
        try:
            if carrier is not None:
                shared.check_carrier(warehouse, carrier)
            found = deck_findings.read(warehouse, limit, carrier)
            counts = deck_findings.count(warehouse, carrier)
        except duckdb.CatalogException:
            shared.stop("no run has looked through the decks yet: run `tollgate run`")
    if in_json:
        shared.answer(deck_findings.facts(found, counts))
    elif found:
        deck_findings.show(shared.console(), found, counts)
    else:
        shared.tell(f"nothing odd in the decks{f' of {carrier}' if carrier else ''}")


@click.command()
@click.option("--feed", "feed_name", help="Only this feed, as kind/feed: usage/native.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Rows to show.")
@click.option("--replay", is_flag=True, help="Try quarantined records again, as their feeds are declared now.")
@shared.json_option
def quarantine(feed_name: str | None, limit: int, replay: bool, in_json: bool) -> None:
    """List the records that could not be read; with --replay, try them again.

    What was read but not understood is listed by `tollgate status`: it is judged anew at each run.
    """
    from orchestration import feeds, summary
    from orchestration.replay import replay_quarantine

    home = settings.home()
    chosen = [feed for feed in feeds.declared() if feed_name in (None, f"{feed.kind}/{feed.feed}")]
    if not chosen:
        known = ", ".join(f"{feed.kind}/{feed.feed}" for feed in feeds.declared())
        shared.stop(f"{feed_name!r} is no feed; known: {known}")
    shared.check_warehouse(home)
    names = [feed.name for feed in chosen]
    if not replay:
        if in_json:
            shared.answer(summary.quarantine(home, names, limit))
        else:
            summary.print_quarantine(home, shared.console(), names, limit)
        return
    with shared.alone(home), duckdb.connect(str(home.warehouse)) as warehouse:
        replays = [done for feed in chosen for done in replay_quarantine(warehouse, feed, home.landing)]
        (left,) = warehouse.execute(
            "select count(*) from ingest.quarantine where kind || '__' || feed in (select unnest(?))",
            [names],
        ).fetchone()
    loaded = sum(done.loaded_count for done in replays)
    if in_json:
        shared.answer(
            {"moved": loaded, "left": left, "files": [vars(done) | {"feed": done.feed.name} for done in replays]}
        )
        return
    for done in replays:
        told = done.message or f"{done.label}: {done.loaded_count:,} loaded, {summary.stay(done.quarantined_count)}"
        shared.tell(f"  {done.feed.kind}/{done.feed.feed}/{told}")
    its_table, it = ("its table", "it") if loaded == 1 else ("their tables", "them")
    settle = f"; run `tollgate run` to settle {it}" if loaded else ""
    shared.tell(f"{summary.counted(loaded, 'record')} moved to {its_table}; {summary.stay(left)} in quarantine{settle}")


@click.command()
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: docs/ in the home]")
@shared.json_option
def docs(into: Path | None, in_json: bool) -> None:
    """Write the documents as pages for a browser, with every table, column and model as dbt describes them."""
    from orchestration import dbt_run, handbook

    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home, is_reading=True):
        try:
            written = handbook.write(home, into or home.root / "docs")
        except dbt_run.DbtFailed as error:
            shared.fail(str(error))
    if in_json:
        shared.answer({"pages": written})
    else:
        shared.tell(f"{written[0].as_uri()}: {len(written)} pages")


COMMANDS = [status, quarantine, decks, docs]
