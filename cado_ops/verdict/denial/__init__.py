"""An AWS error, pasted whole: what it says, what it means here, which command mends it. Pure.

`read` finds the errors in a text, `explain` says what they mean. Between the two, whoever may can have the encoded
messages decoded (`Told.encoded`, `decoded.fill`).
"""

from __future__ import annotations

from collections.abc import Iterable

from cado_ops.verdict.denial import clean, decoded
from cado_ops.verdict.denial.events import Piece, pieces
from cado_ops.verdict.denial.finding import find
from cado_ops.verdict.denial.known_acquisition import STATUSES
from cado_ops.verdict.denial.lookup import BY_CODE, CODES, may_be_one
from cado_ops.verdict.denial.meaning import explain_one
from cado_ops.verdict.denial.model import UNKNOWN, Around, Explanation, Told

__all__ = ["UNKNOWN", "Explanation", "Told", "explain", "read"]


def read(text: str) -> list[Told]:
    """Every error in a pasted text, in order, repeats included. None found: one that says nothing."""
    found: list[Told] = []
    for piece in pieces(clean.visible(text)):
        told = _of_piece(piece)
        if found and told and _begins(found[-1], told[0]):
            # "An error occurred (…) when calling the … operation: " and then its message as JSON.
            before = found.pop()
            told[0].surrounded(Around(code=before.code, action=before.action))
            told[0].operation = told[0].operation or before.operation
        found += told
    return found or [Told()]


def explain(errors: Iterable[Told], case: str | None = None) -> list[Explanation]:
    """The explanation of each error, in order; what is told twice is explained once.

    ``case`` goes into the commands that take one.
    """
    return list(dict.fromkeys(explain_one(told, case) for told in errors))


def _begins(before: Told, told: Told) -> bool:
    """Whether what came before is the beginning of this error: a code or an operation, and no more."""
    same = may_be_one(told.code, before.code) and told.operation in (None, before.operation)
    return same and not before.content and told.content and (before.code or before.operation) is not None


def _of_piece(piece: Piece) -> list[Told]:
    if piece.decoded is not None:
        told = decoded.fill(Told(generic=True), piece.decoded)
        return [told.surrounded(piece.around)]
    if piece.status is not None:
        status = "".join(piece.status.split()).lower()
        return [Told(status=status).surrounded(piece.around)] if status in STATUSES else []
    found = _of_text(piece.text) if piece.text else []
    code = piece.around.code
    if code is not None and not any(told.content or told.code or told.encoded for told in found):
        # The message says nothing that is known: the code may.
        told = Told(code=code, generic=code in CODES - set(BY_CODE) and not piece.text)
        return [told.surrounded(piece.around)]
    return [told.surrounded(piece.around) for told in found]


def _of_text(text: str) -> list[Told]:
    """The errors of plain text; of its whole lines, where a terminal has broken them in the middle of words."""
    text = clean.unescaped(text)
    found = find(clean.flowing(text))
    # What somebody copied out of a terminal, and no log, whose lines may be of one length by chance.
    whole = clean.unbroken(text) if len(text) <= 65_536 else None
    if whole is None:
        return found
    unbroken = find(whole)
    return unbroken if _clearness(unbroken) > _clearness(found) else found


def _clearness(errors: list[Told]) -> tuple[int, int]:
    """How much was understood: of two readings of one text the one that says more is right."""
    parts = sum(
        sum(
            part is not None
            for part in (told.principal, told.resource, told.explicit, told.policy_arn, told.encoded)
        )
        + (told.denied_by != UNKNOWN)
        + sum("\n" not in part and " " not in part for part in (told.principal or " ", told.resource or " "))
        for told in errors
    )
    return sum(told.content for told in errors), parts
