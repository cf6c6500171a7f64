"""cado-ops policy: the group."""

from __future__ import annotations

import typer

from cado_ops.cli.policy_check import check
from cado_ops.cli.policy_show import show
from cado_ops.cli.policy_tighten import tighten

app = typer.Typer(
    help="IAM and key policies for the Cado role, and for this program's own.",
    rich_markup_mode="rich",
)
app.command("show")(show)
app.command("tighten")(tighten)
app.command("check")(check)
