"""What an explanation is, of whatever: steps for a person, the same facts for a program, and what does not agree.

Belongs here: the steps, printing them, JSON. Does not belong here: what is explained (`event.py`, `line.py`).
"""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from orchestration import figures

Row = dict[str, Any]


class NotExplained(Exception):
    """There is nothing to explain. The message says why, and what to do."""


@dataclass(frozen=True)
class Step:
    """One step of an explanation: its sentences, and the facts that they say."""

    name: str
    sentences: list[str]
    facts: Row


@dataclass
class Explanation:
    """Steps in the order in which a person follows them, and what does not agree with the warehouse: never anything."""

    kind: str
    subject: str
    steps: list[Step] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def add(self, name: str, sentences: list[str], **facts: Any) -> None:
        self.steps.append(Step(name, sentences, facts))


def print_explanation(explanation: Explanation, console: Console) -> None:
    """The steps as text."""

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, highlight=False, soft_wrap=True, markup=False)

    say(f"{explanation.kind} {explanation.subject}", "bold")
    for step in explanation.steps:
        say(f"\n{step.name.capitalize()}", "bold")
        for sentence in step.sentences:
            say(f"  {sentence}")
    if explanation.defects:
        say("\nTHIS DOES NOT AGREE", "bold red")
        for defect in explanation.defects:
            say(f"  {defect}", "red")
        say(
            "  If the last run ended in the middle, `tollgate run` mends it; `tollgate run --anew` rates every event "
            "again. Else it is a defect of Tollgate: please report it with all of this.",
            "red",
        )


def as_json(explanation: Explanation) -> str:
    """The facts of all steps; amounts and quantities as text, instants in UTC."""
    facts = {step.name: step.facts for step in explanation.steps}
    told = {"kind": explanation.kind, "subject": explanation.subject, **facts, "defects": explanation.defects}
    return figures.as_json(told)
