"""What holds of every command: an answer for programs, help that says how it ends, words that a shell completes.

Belongs here: the command line as a whole. Does not belong here: what a single command does; the tests of that ask it.
"""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from orchestration import cli
from orchestration.cli import shared

WITHOUT_ANSWER = {"ui", "completion"}  # one becomes Dagster, the other one is a program


def commands(group: click.Group = cli.main) -> dict[str, click.Command]:
    found = {}
    for name, command in group.commands.items():
        found |= commands(command) if isinstance(command, click.Group) else {name: command}
    return found


def ask(home, *arguments: str):
    return CliRunner().invoke(cli.main, arguments, env={"TOLLGATE_HOME": str(home)})


def test_every_command_answers_in_json():
    lacking = [
        name
        for name, command in commands().items()
        if name not in WITHOUT_ANSWER and shared.IN_JSON not in {parameter.name for parameter in command.params}
    ]
    assert not lacking


def test_every_command_says_in_one_sentence_what_it_does():
    for name, command in commands().items():
        assert command.help and len(command.help.split("\n\n")[0]) < 200, name


def test_the_standard_output_of_an_answer_holds_nothing_but_json(demo):
    home, _ = demo
    for question in (["status"], ["quarantine"], ["decks", "--limit", "1"], ["verify"], ["price", "4915112345678"]):
        told = ask(home, *question, "--json")
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout)


def test_a_status_in_json_holds_what_landed_and_what_is_held_back(demo):
    home, _ = demo
    told = json.loads(ask(home, "status", "--json").stdout)
    assert sum(file["rows"] for file in told["files"]) > 10_000
    assert sum(row["rows"] for row in told["held_back"]["quarantined"]) == 2
    assert told["publication"]["rows"]["fct_carrier_settlements"] > 5


def test_a_home_without_a_warehouse_ends_a_command_with_2_and_the_next_step(tmp_path):
    for question in (["status", "--json"], ["quarantine"], ["decks"], ["verify"], ["explain", "x"], ["publish"]):
        told = ask(tmp_path, *question)
        assert told.exit_code == 2, question
        assert "run `tollgate run`" in told.output


@pytest.mark.parametrize(
    ("command", "begun", "completed"),
    [
        (["decks", "--carrier"], "nord", ["nordlink"]),
        (["statement", "--partner"], "acme", ["acme-resale"]),
        (["dispute-pack"], "gulf", ["gulf-connect:GCCT-202610:2026-10:FEE"]),
    ],
)
def test_a_shell_completes_carriers_partners_and_disputes(demo, monkeypatch, command, begun, completed):
    monkeypatch.setenv("TOLLGATE_HOME", str(demo[0]))
    words = ShellComplete(cli.main, {}, "tollgate", "_TOLLGATE_COMPLETE").get_completions(command, begun)
    assert [word.value for word in words] == completed


def test_bash_completes_a_word_that_holds_colons(demo, tmp_path):
    """As bash does it: a colon ends a word, and what is completed takes the place of what follows the last one."""
    script = rf"""
        export PATH="{Path(sys.executable).parent}:$PATH" TOLLGATE_HOME="{demo[0]}"
        eval "$(tollgate completion bash)"
        COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
        for COMP_LINE in "tollgate dispute-pack gulf-connect:GCCT-2026" "tollgate dispute-pack gulf" "tollgate dec"; do
            COMP_POINT=${{#COMP_LINE}} COMPREPLY=()
            _tollgate_completion tollgate
            echo "${{COMPREPLY[*]}}"
        done
        complete -p tollgate"""
    told = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert told.stdout.splitlines() == [
        "GCCT-202610:2026-10:FEE",
        "gulf-connect:GCCT-202610:2026-10:FEE",
        "decks",
        "complete -o nosort -F _tollgate_completion tollgate",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell):
    told = CliRunner().invoke(cli.main, ["completion", shell])
    assert told.exit_code == 0 and "_TOLLGATE_COMPLETE" in told.output
