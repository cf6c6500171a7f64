"""cado-ops kms: the group."""

from __future__ import annotations

import typer

from cado_ops.cli.kms_grant import grant
from cado_ops.cli.kms_list import list_grants
from cado_ops.cli.kms_retire import retire

app = typer.Typer(
    help="KMS grants of the Cado role: create, list, end. AWS ends none by itself.",
    rich_markup_mode="rich",
)
app.command("grant")(grant)
app.command("list")(list_grants)
app.command("retire")(retire)
