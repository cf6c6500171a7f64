"""The table of commands, and ``cado-ops --help``, which is made of it without loading any of them."""

from __future__ import annotations

from typing import NamedTuple

from cado_ops.cli.help_text import Section, help_text

CHANGE = "Change"
LOOK = "Look"
PRACTISE = "Practise"


class Entry(NamedTuple):
    """Where a command lives, and its line in ``--help``."""

    module: str
    attribute: str
    help: str
    panel: str


COMMANDS = {
    "tag-instances": Entry(
        "tag_instances", "tag_instances", "Put CadoResponseSSMEnabled=True on EC2 instances.", CHANGE
    ),
    "untag-instances": Entry("tag_instances", "untag_instances", "Take the tag off again.", CHANGE),
    "kms": Entry("kms", "app", "KMS grants of the Cado role: grant, list, retire.", CHANGE),
    "apply": Entry("saved_plan", "apply", "Apply a plan saved with --save-plan.", CHANGE),
    "status": Entry("status", "status", "How far the tag has come, per account and region.", LOOK),
    "check": Entry("check", "check", "Can Cado acquire this instance? Why not, and what mends it.", LOOK),
    "explain": Entry("explain", "explain", "What an AWS error means here, and what mends it.", LOOK),
    "targets": Entry("targets", "targets", "The accounts and regions that the options mean.", LOOK),
    "policy": Entry("policy", "app", "IAM and key policies for Cado and for this program.", LOOK),
    "runs": Entry("runs", "app", "The journal: what was changed, and its way back.", LOOK),
    "sandbox": Entry("sandbox", "sandbox", "A simulated AWS organisation on this machine.", PRACTISE),
}

ABOUT = "Prepare AWS accounts for Cado's forensic acquisition, and take it all back."
EXAMPLE = "Example: cado-ops tag-instances --filter tag:Env=prod --case IR-42 --dry-run"
# Made by typer: what they do stands there.
OPTIONS = [
    ("--version", "Show the version."),
    ("--install-completion", "Install completion for this shell."),
    ("--show-completion", "Show the completion for this shell, to copy it."),
    ("--help", "Show this message; after a command, what it takes."),
]


def front_page(*, width: int, bold: bool = False) -> str:
    """What ``cado-ops --help`` shows."""
    sections: list[Section] = []
    for panel in dict.fromkeys(entry.panel for entry in COMMANDS.values()):
        lines = [(name, entry.help) for name, entry in COMMANDS.items() if entry.panel == panel]
        sections.append((panel, lines))
    about = f"{ABOUT}\n\n{EXAMPLE}"
    usage = "cado-ops [OPTIONS] COMMAND [ARGS]..."
    return help_text(usage, about, [*sections, ("Options", OPTIONS)], width=width, bold=bold)
