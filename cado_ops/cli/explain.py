"""cado-ops explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cado_ops.cli.options import EXPLAIN_OPTIONS, takes
from cado_ops.cli.session import Session, run
from cado_ops.cli.world import MAX_STDIN, World
from cado_ops.errors import AwsError, CadoOpsError, Kind, UsageError
from cado_ops.model import Report, Status
from cado_ops.verdict.denial import UNKNOWN, Told, decoded, read
from cado_ops.verdict.denial import explain as explain_all

if TYPE_CHECKING:
    from cado_ops.aws.connection import Connection

# Each is a call to STS; a log of thousands says the same few things.
MAX_DECODED = 20

Text = Annotated[
    str | None,
    typer.Argument(
        metavar="[TEXT]", help="The error, pasted whole; without it, or with -, stdin.", show_default=False
    ),
]


@takes(EXPLAIN_OPTIONS)
def explain(ctx: typer.Context, text: Text = None, *, flags: dict[str, Any]) -> int:
    """What an AWS error means here, and the command that mends it.

    Reads what a console, the AWS CLI, boto3, CloudTrail or a log shows, several errors at once. Asks AWS only to
    decode an encoded authorization message, and not with --offline.

    Example: aws ssm send-command ... 2>&1 | cado-ops explain
    """
    world: World = ctx.obj

    def body(session: Session) -> Report:
        errors = read(_text(session, text))
        _decode(session, errors)
        items = explain_all(errors, session.case)
        unknown = sum(each.kind == UNKNOWN for each in items)
        return Report(
            command="explain",
            status=Status.PARTIAL if unknown else Status.SUCCESS,
            case=session.case,
            caller=session.caller,
            summary={"errors": len(errors), "explained": len(items) - unknown, "unknown": unknown},
            items=[each.as_item() for each in items],
        )

    return run("explain", flags, world, body)


def _text(session: Session, argument: str | None) -> str:
    world = session.world
    if argument is not None and argument != "-":
        if not argument.strip():
            raise UsageError("TEXT is empty")
        if len(argument) > MAX_STDIN:
            raise UsageError(f"TEXT holds more than {MAX_STDIN // 2**20} MiB")
        return argument
    isatty = getattr(world.stdin, "isatty", None)
    if isatty and isatty():
        session.remark("Paste the error, then end with Ctrl-D on a line of its own.")
    # A log may hold bytes of any kind: what is no text is left out of account, not a reason to fail.
    reconfigure = getattr(world.stdin, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="replace")
    return world.read_stdin("TEXT")


def _decode(session: Session, errors: list[Told]) -> None:
    """Puts into the errors what their encoded messages say, or why that could not be learnt. Never fails."""
    encoded = [told for told in errors if told.encoded is not None]
    if not encoded:
        return
    if session.given.flag("offline"):
        for told in encoded:
            told.decoded = "It was not decoded: --offline."
        return
    answers: dict[str, str | AwsError] = {}
    connection: Connection | AwsError | None = None
    for told in encoded:
        message = told.encoded or ""
        if message not in answers:
            if len(answers) >= MAX_DECODED:
                told.decoded = f"It was not decoded: the text has more than {MAX_DECODED} encoded messages."
                continue
            if connection is None:
                connection = _connect(session)
            answers[message] = (
                connection if isinstance(connection, AwsError) else _ask(session, connection, message)
            )
        answer = answers[message]
        if isinstance(answer, AwsError):
            told.decoded = _why_not(answer)
        elif document := decoded.parse(answer):
            decoded.fill(told, document)
        else:
            told.decoded = "It was not decoded: the answer of STS could not be understood."
    for reason in dict.fromkeys(told.decoded for told in encoded if told.decoded):
        session.warn(f"an encoded message: {reason}")


def _connect(session: Session) -> Connection | AwsError:
    """As the caller, who is no operator here: the settings' roles and accounts play no part."""
    from cado_ops.aws.connection import Connection
    from cado_ops.aws.credentials import Roles

    try:
        connection = Connection(
            roles=Roles(session_name="cado-ops"),
            profile=session.given.text("profile"),
            endpoint_url=session.given.text("endpoint-url"),
            region=None,
            max_concurrency=1,
            now=session.world.now,
            clock=session.world.clock,
            sleep=session.sleep,
            rng=session.world.rng,
            # One attempt: decoding is a favour, and who waits for an explanation should not wait for a network.
            stopped=lambda: True,
        )
        session.caller = connection.identify()
    except CadoOpsError as error:
        return _as_aws_error(error)
    return connection


def _ask(session: Session, connection: Connection, message: str) -> str | AwsError:
    from cado_ops.aws.sts import MAX_ENCODED, Sts

    if len(message) > MAX_ENCODED:
        return AwsError(
            "TooLong", f"it is longer than the {MAX_ENCODED} characters that STS takes", kind=Kind.INVALID
        )
    assert session.caller is not None
    try:
        return Sts(connection).decode(session.caller.account, message)
    except CadoOpsError as error:
        return _as_aws_error(error)


def _as_aws_error(error: CadoOpsError) -> AwsError:
    return error if isinstance(error, AwsError) else AwsError("NoConnection", error.message, kind=Kind.OTHER)


def _why_not(error: AwsError) -> str:
    if error.code == "InvalidAuthorizationMessageException":
        why = "STS does not take it: it is cut short or too old, or of another account than yours"
    elif error.kind in (Kind.DENIED, Kind.ORG_DENIED):
        why = "you may not (sts:DecodeAuthorizationMessage)"
    elif error.kind is Kind.CREDENTIALS:
        why = f"no usable AWS credentials ({error.message.rstrip('.')})"
    else:
        why = f"{error.code}: {error.message.rstrip('.')}"
    return f"It was not decoded: {why}."
