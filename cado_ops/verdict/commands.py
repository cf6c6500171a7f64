"""Command lines that people paste: every part is quoted, and what is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cado_ops import shell


def command(*words: str, **options: str | None) -> str:
    """A command line of this program; an option that is None is not there."""
    given = [word for name, value in options.items() if value for word in (f"--{name.replace('_', '-')}", value)]
    return shell.join(("cado-ops", *words, *given))


@dataclass(frozen=True)
class Asker:
    """What the user said about roles and the case: it goes into the commands that he is shown.

    ``own_account`` is the caller's: no role is assumed there. ``role_arns`` are operator roles by account.
    """

    own_account: str
    role_name: str | None = None
    role_arns: Mapping[str, str] = field(default_factory=dict)
    external_id: str | None = None
    profile: str | None = None
    cado_role: str | None = None
    case: str | None = None
    expires: str | None = None
    endpoint_url: str | None = None

    def line(self, *words: str, account: str, region: str | None = None, in_case: bool = False) -> str:
        """A command in one account, and perhaps region, as this user; ``in_case``: it takes --case."""
        away = account != self.own_account
        arn = self.role_arns.get(account) if away else None
        return command(
            *words,
            account=account,
            region=region,
            role_arn=arn,
            role_name=self.role_name if away and arn is None else None,
            external_id=self.external_id if away else None,
            profile=self.profile,
            endpoint_url=self.endpoint_url,
            case=self.case if in_case else None,
            expires=self.expires if in_case and self.case else None,
        )

    def aws(self, *words: str, account: str, region: str) -> str:
        """A command of the AWS CLI. It assumes no role: whoever pastes it has to be in that account."""
        profile = ("--profile", self.profile) if self.profile and account == self.own_account else ()
        endpoint = ("--endpoint-url", self.endpoint_url) if self.endpoint_url else ()
        return shell.join(("aws", *words, "--region", region, *profile, *endpoint))

    def show_operator(self, account: str) -> str:
        """What shows the policy that the operator role of an account needs for a check."""
        return command("policy", "show", "operator", "--for", "check", account=account)
