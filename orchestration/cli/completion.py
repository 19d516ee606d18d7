"""The completion of all commands in a shell, also of words that hold a colon, as ids of disputes and lines do.

Belongs here: what a shell is told. Does not belong here: which words there are (`shared.completed_from`).
"""

import os

import click
from click.parser import split_arg_string
from click.shell_completion import BashComplete, add_completion_class, get_completion_class


@add_completion_class
class WholeWords(BashComplete):
    """To bash a colon ends a word: so the line is read here, and of what is found bash is given what follows the last
    colon that was typed."""

    source_template = r"""
%(complete_func)s() {
    local response type value
    local line="${COMP_LINE:0:COMP_POINT}"
    local word="${line##*[[:space:]]}" typed=""
    [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && typed="${word%%"${word##*:}"}"

    response=$(env COMP_LINE="$line" %(complete_var)s=bash_complete "$1")
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$typed"}") ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        begun = "" if line[-1:].isspace() else words.pop()
        return words[1:], begun


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands, options, carriers, partners and disputes.

    bash, zsh: eval "$(tollgate completion bash)"; fish: tollgate completion fish | source
    """
    program = context.find_root()
    click.echo(get_completion_class(shell)(program.command, {}, "tollgate", "_TOLLGATE_COMPLETE").source())


COMMANDS = [completion]
