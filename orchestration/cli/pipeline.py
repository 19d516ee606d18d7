"""Commands that move the month: simulate, run, publish, ui.

A run is a job of Dagster, done in this process; `tollgate ui` shows its history.
"""

import os
import shutil
import signal
import sys
from collections import Counter
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import duckdb

from orchestration import builds, settings, terms
from orchestration.cli import shared

if TYPE_CHECKING:
    import dagster as dg

PROCESS_TAG = "tollgate/process"
"""Tag of a run in Dagster's history: the process that does it, for a run that the command line started."""


@click.command()
@click.option(
    "--month", callback=shared.month, default="2026-10", show_default=True, help="Month to simulate, YYYY-MM."
)
@click.option("--events", default=200_000, show_default=True, type=click.IntRange(min=1000), help="Events to write.")
@click.option("--seed", default=7, show_default=True, help="The same seed writes the same files.")
@shared.json_option
def simulate(month: date, events: int, seed: int, in_json: bool) -> None:
    """Write a CPaaS month into landing, with carriers that make known mistakes."""
    home = settings.home()
    if any(shared.files(home.landing)):
        shared.stop(f"{home.landing} already holds files; simulate writes only into an empty landing folder")
    written = _simulate(home, month, events, seed)
    if in_json:
        shared.answer(written)


@click.command()
@click.option(
    "--events",
    default=200_000,
    show_default=True,
    type=click.IntRange(min=1000),
    help="Size of the demo month, where landing is empty.",
)
@click.option("--anew", is_flag=True, help="Read and rate every event again, and not only what changed.")
@shared.json_option
def run(events: int, anew: bool, in_json: bool) -> None:
    """Settle what lies in landing: ingest, stage, rate, attribute, reconcile, settle, gate, publish.

    Events are rated once, and again where a file, a deck or a term touches them. After an upgrade they are all rated
    again without being asked.
    """
    home = settings.home()
    shared.check_settings()
    with shared.alone(home):
        if not any(shared.files(home.landing)):
            if not settings.uses_demo_terms():
                shared.stop(
                    f"{home.landing} holds no files. Drop usage, rate decks and invoices there: docs/landing.md"
                )
            shared.tell(f"{home.landing} holds no files: writing the demo month first")
            _simulate(home, date(2026, 10, 1), events, 7)
        if anew:
            from orchestration.transform import forget_rules

            with duckdb.connect(str(home.warehouse)) as warehouse:
                forget_rules(warehouse)
        shared.tell(f"settling what lies in {home.landing}")
        _run_job(home, "settle_month", in_json)


@click.command()
@shared.json_option
def publish(in_json: bool) -> None:
    """Gate and publish the marts as they stand, without building them again.

    Refused where they are not of one whole build: what failed or was stopped half way left a mixture.
    """
    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home):
        with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
            is_whole = builds.is_whole(warehouse)
        if not is_whole:
            shared.fail(builds.NOT_WHOLE)
        _run_job(home, "publish_marts", in_json)


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the web page, on this machine only.")
def ui(port: int) -> None:
    """Open Dagster: the graph of the pipeline, its runs, checks, schedule and sensor."""
    home = settings.home()
    shared.check_settings()
    settings.prepare_environment(home)
    shared.tell(f"Dagster at http://127.0.0.1:{port} (stop it with Ctrl-C)")
    dagster = shutil.which("dagster", path=str(Path(sys.executable).parent)) or "dagster"
    command = [dagster, "dev", "--module-name", "orchestration.definitions", "--host", "127.0.0.1", "--port", str(port)]
    os.chdir(settings.PROJECT_DIR)
    sys.stdout.flush()
    # Dagster takes the place of this process, so whoever stops it stops Dagster, which ends its own processes. To a
    # SIGTERM it does what it does to Ctrl-C, and that is nothing where a shell's `&` has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(command[0], command)


def _run_job(home: settings.Home, name: str, in_json: bool) -> None:
    """Run a job in this process and say what came out; `tollgate ui` shows its history."""
    settings.prepare_environment(home)
    try:
        terms.check()
    except terms.TermsError as error:
        shared.stop(str(error))
    # A verdict of an earlier run must not pass for the reason why this one failed.
    (home.reports / "gate.json").unlink(missing_ok=True)
    console = shared.console()
    with console.status("starting Dagster and dbt"):
        import dagster as dg

        from orchestration import progress, summary
        from orchestration.definitions import defs

        job = defs.resolve_job_def(name)
    watched = progress.watch(Counter(progress.verb_of(key) for key in job.asset_layer.selected_asset_keys), console)
    home.reports.mkdir(parents=True, exist_ok=True)
    # dbt prints two lines for each of its nodes; they are kept for whoever looks for a fault.
    with (
        (home.reports / "dbt.log").open("w") as log,
        redirect_stdout(log),
        dg.DagsterInstance.get() as instance,
        watched.status,
    ):
        _end_the_dead(instance)
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
            tags={PROCESS_TAG: str(os.getpid())},
        )
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    if any("DagsterExecutionInterruptedError" in str(error) for error in failures):
        click.echo("tollgate: stopped; nothing is half loaded or half published, run it again", err=True)
        raise SystemExit(130)
    if not result.success:
        is_published = any(
            event.asset_key.path == ["publish", "settlement"] for event in result.get_asset_materialization_events()
        )
        if in_json:
            shared.answer(summary.failure(home, is_published))
        else:
            summary.print_failure(home, console, is_published)
        raise SystemExit(1)
    facts = [event.materialization.metadata for event in result.get_asset_materialization_events()]

    def total(name: str) -> int:
        return sum(fact[name].value for fact in facts if name in fact)

    news = summary.News(
        files_loaded=total("files_loaded"),
        rows_loaded=total("rows_loaded"),
        postings_booked=total("booked"),
        changed_tables=sum(len(fact["changed tables"].value) for fact in facts if "changed tables" in fact),
    )
    if in_json:
        shared.answer(summary.settlement(home, news))
    else:
        summary.print_settlement(home, console, news)


def _end_the_dead(instance: "dg.DagsterInstance") -> None:
    """A run whose process was killed stands as started for ever, and Dagster starts one run at a time.

    We hold the lock, so no run that the command line started can be alive but this one.
    """
    import dagster as dg

    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if process := run.tags.get(PROCESS_TAG):
            instance.report_run_failed(run, f"its process {process} was killed")


def _simulate(home: settings.Home, month: date, events: int, seed: int) -> dict[str, Any]:
    from simulation import write_month

    truth = home.simulation / "truth.json"
    write_month(
        home.landing,
        truth,
        month=f"{month:%Y-%m}",
        events=events,
        seed=seed,
        report=lambda line: shared.tell(f"  {line}"),
    )
    return {"landing": home.landing, "files": len(shared.files(home.landing)), "truth": truth}


COMMANDS = [simulate, run, publish, ui]
