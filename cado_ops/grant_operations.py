"""Which operations a grant gives: the profiles, and lists that users type. Pure.

"Grant operations", KMS Developer Guide ("Grants in AWS KMS"): what a grant on a symmetric encryption key may hold.
"""

from __future__ import annotations

import difflib

from cado_ops.arns import shown, split_commas
from cado_ops.errors import UsageError

# The five actions that Cado documents for customer keys, as grant operations, and DescribeKey.
FULL = (
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
)
PROFILES = {
    "full": FULL,
    "no-create-grant": tuple(each for each in FULL if each != "CreateGrant"),
    "ebs-direct": ("Decrypt", "DescribeKey"),
}
DEFAULT_PROFILE = "full"
# Every operation that KMS takes in a grant on a symmetric encryption key, the only kind that EBS works with.
OPERATIONS = frozenset({*FULL, "RetireGrant", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"})
_FOR_OTHER_KEYS = frozenset(
    {
        "Sign",
        "Verify",
        "GetPublicKey",
        "GenerateMac",
        "VerifyMac",
        "DeriveSharedSecret",
        "Encapsulate",
        "Decapsulate",
    }
)
# IAM's way of writing them, which users know from the policies.
_FROM_IAM = {
    "ReEncrypt*": ("ReEncryptFrom", "ReEncryptTo"),
    "GenerateDataKey*": ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
}


def parse_operations(text: str | None, where: str) -> tuple[str, ...]:
    """A profile's name or a comma list, to sorted operations. Raises UsageError."""
    if text is None:
        return PROFILES[DEFAULT_PROFILE]
    if text in PROFILES:
        return PROFILES[text]
    found: set[str] = set()
    for piece in split_commas([text], where):
        name = piece.removeprefix("kms:")
        if name in OPERATIONS:
            found.add(name)
        elif name in _FROM_IAM:
            found.update(_FROM_IAM[name])
        else:
            raise UsageError(f"{where}: {shown(piece)} is no grant operation", _hint(name))
    return tuple(sorted(found))


def _hint(name: str) -> str:
    if name in _FOR_OTHER_KEYS:
        return "It is for asymmetric and HMAC keys: EBS encrypts with symmetric keys alone."
    if name in PROFILES:
        return "A profile stands alone, without a list."
    close = difflib.get_close_matches(name, [*OPERATIONS, *PROFILES], n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"It takes {', '.join(PROFILES)}, or a list of {', '.join(sorted(OPERATIONS))}."
