"""STS: encoded authorization messages, decoded."""

from __future__ import annotations

from cado_ops.aws.connection import Connection, understanding
from cado_ops.aws.credentials import Identity

# DecodeAuthorizationMessage, STS API reference: the longest message that it takes.
MAX_ENCODED = 10_240


class Sts:
    """The STS calls that this program makes beside those of `Connection`. Every method raises AwsError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def decode(self, identity: Identity, message: str) -> str:
        """What an encoded authorization message says (DecodeAuthorizationMessage), as AWS's JSON."""
        answer = self._connection.call(
            identity, "sts", self._connection.home_region, "DecodeAuthorizationMessage", {"EncodedMessage": message}
        )
        with understanding("DecodeAuthorizationMessage"):
            decoded: str = answer["DecodedMessage"]
        return decoded
