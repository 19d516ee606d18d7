"""The command `tollgate`: what people do by hand. Dagster jobs do the work; this starts them and says what came out.

    pipeline.py     simulate, run, publish, ui
    state.py        status, quarantine, decks, docs
    questions.py    explain, price, what-if
    outgoing.py     dispute-pack, statement, export, push
    books.py        close-period, verify
    completion.py   completion

Belongs here: commands, their options, exit codes. Does not belong here: the work itself, what a summary holds.

Exit codes: 0 done; 1 the run failed, the gate held the publication back, or an explanation or a pack contradicts the
tables; 2 the call or the set-up is wrong; 130 stopped by Ctrl-C.
"""

import click

from orchestration.cli import books, completion, outgoing, pipeline, questions, state


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tollgate")
def main() -> None:
    """Tollgate, the settlement warehouse of a CPaaS provider.

    Everything lives below $TOLLGATE_HOME (default: data/ in the project). Your own terms replace those of the demo
    with $TOLLGATE_TERMS, a folder with the same files as seeds/terms.

    With --json a command answers in JSON on the standard output, and tells what it is doing beside it. Exit codes: 0
    done; 1 it failed, the gate held the publication back, or something contradicts the tables; 2 the call or the set-up
    is wrong; 130 stopped with Ctrl-C.
    """


for module in (pipeline, state, questions, outgoing, books, completion):
    for command in module.COMMANDS:
        main.add_command(command)
