"""What one statement may do, over all requests of a kind at once.

The evaluator answers for one request. A checker and a rewriter have to know of *every* request of a kind
(SendCommand on any instance without the tag) whether a statement could allow it, whatever else the request has: so
what is not known counts for the statement in an Allow, and against it in a Deny. Conditions: "IAM JSON policy
elements: Condition operators", "Multivalued context keys", IAM User Guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy import conditions
from cado_ops.policy.document import ALLOW, DENY, Condition, Document, Statement, Value, Values
from cado_ops.policy.filled import narrowest, options, widest
from cado_ops.policy.matching import Told
from cado_ops.policy.patterns import covers, meets, overlap

# The keys under which AWS shows the tags of what a request is about, or the tags in the request itself.
TAG_PREFIXES = ("ssm:resourcetag/", "aws:resourcetag/", "ec2:resourcetag/")
REQUEST_TAG = "aws:requesttag/"
TAG_KEYS = "aws:tagkeys"

Facts = Mapping[str, tuple[str, ...] | None]


@dataclass(frozen=True)
class Ask:
    """Requests of one kind: an action, on resources that a pattern means.

    ``facts`` are condition keys, in lower case, with what is known of them: values, or None for a key that such
    requests do not have. A key that ends in ``/`` or ``:`` stands for all that begin so. Of other keys nothing is
    known.
    """

    action: str
    resource: str
    facts: Facts = field(default_factory=dict)

    def fact(self, key: str) -> tuple[bool, tuple[str, ...] | None]:
        """Whether the key is known, and its values."""
        key = key.lower()
        if key in self.facts:
            return True, self.facts[key]
        for prefix, values in self.facts.items():
            if prefix.endswith(("/", ":")) and key.startswith(prefix):
                return True, values
        return False, None


def may_allow(statement: Statement, ask: Ask, partition: str) -> bool:
    """Whether an Allow could allow a request of this kind."""
    if statement.whole is not None or statement.effect == DENY:
        return False
    return (
        _may_have_action(statement, ask.action, partition)
        and _may_have_resource(statement, ask.resource, partition)
        and all(holds(each, ask) is not False for each in statement.conditions)
    )


def surely_denies(statement: Statement, ask: Ask, partition: str) -> bool:
    """Whether a Deny denies every request of this kind."""
    if statement.whole is not None or statement.effect != DENY:
        return False
    return (
        _surely_has_action(statement, ask.action, partition)
        and _surely_has_resource(statement, ask.resource, partition)
        and all(holds(each, ask) is True for each in statement.conditions)
    )


def surely_allows(statement: Statement, ask: Ask, partition: str) -> bool:
    """Whether an Allow allows every request of this kind, as far as the other statements let it."""
    if statement.whole is not None or statement.effect != ALLOW:
        return False
    return (
        _surely_has_action(statement, ask.action, partition)
        and _surely_has_resource(statement, ask.resource, partition)
        and all(holds(each, ask) is True for each in statement.conditions)
    )


def open_in(documents: Iterable[Document], ask: Ask, partition: str) -> list[Statement]:
    """The statements that could allow such a request, unless another surely denies it."""
    statements = [each for document in documents for each in document.statements]
    if any(surely_denies(each, ask, partition) for each in statements):
        return []
    return [each for each in statements if may_allow(each, ask, partition)]


def names_action(statement: Statement, action: str) -> bool:
    """Whether the statement names this action itself, not by a wildcard."""
    return any(each.lower() == action.lower() for each in (statement.actions or Values()).strings)


def _may_have_action(statement: Statement, action: str, partition: str) -> bool:
    action = action.lower()
    if statement.not_actions is not None:
        narrow = [narrowest(each, partition) for each in statement.not_actions]
        return not any(each is not None and covers(each.lower(), action) for each in narrow)
    return any(overlap(_action(each, partition), action) for each in options(statement.actions))


def _surely_has_action(statement: Statement, action: str, partition: str) -> bool:
    action = action.lower()
    if statement.not_actions is not None:
        return not any(overlap(_action(each, partition), action) for each in statement.not_actions)
    narrow = [narrowest(each, partition) for each in statement.actions or ()]
    return any(each is not None and covers(each.lower(), action) for each in narrow)


def _action(value: Value, partition: str) -> str:
    """Actions have no variables, and no case."""
    return (value if isinstance(value, str) else widest(value, partition)).lower()


def _may_have_resource(statement: Statement, resource: str, partition: str) -> bool:
    if statement.not_resources is not None:
        narrow = [narrowest(each, partition) for each in statement.not_resources]
        return not any(each is not None and covers(each, resource) for each in narrow)
    if statement.resources is None:
        return True
    # What knows no resources has "*" itself for one, and no ARN is that.
    test = covers if resource == "*" else meets
    return any(test(widest(each, partition), resource) for each in options(statement.resources))


def _surely_has_resource(statement: Statement, resource: str, partition: str) -> bool:
    if statement.not_resources is not None:
        return not any(meets(widest(each, partition), resource) for each in statement.not_resources)
    if statement.resources is None:
        return True
    narrow = [narrowest(each, partition) for each in statement.resources]
    return any(each is not None and covers(each, resource) for each in narrow)


def holds(condition: Condition, ask: Ask) -> bool | None:
    """Whether a condition holds for requests of this kind; None where it is not known."""

    def lookup(key: str) -> Told:
        known, values = ask.fact(key)
        return Told(values or (), "") if known else Told(None, f"nothing is known of {key}")

    value = conditions.holds(condition, lookup, variables=True).value
    if condition.key.lower() != TAG_KEYS or not ask.fact(TAG_KEYS)[1]:
        return value
    # Such a request may have any further tag keys beside those that are known.
    match operator_parts(condition.operator)[0]:
        case "forallvalues":
            return None if value else value
        case "foranyvalue":
            return value or None
    return value if condition.operator.lower() == "null" else None


def operator_parts(operator: str) -> tuple[str, bool, str]:
    """Quantifier, whether IfExists, and the operator itself, all in lower case."""
    quantifier, _, name = operator.lower().rpartition(":")
    return quantifier, name.endswith("ifexists"), name.removesuffix("ifexists")


# --- the requests that this program reasons about


@dataclass(frozen=True)
class Place:
    """ARN patterns in one partition."""

    partition: str

    @property
    def instances(self) -> str:
        return f"arn:{self.partition}:ec2:*:*:instance/*"

    @property
    def hybrid(self) -> str:
        return f"arn:{self.partition}:ssm:*:*:managed-instance/*"

    @property
    def documents(self) -> str:
        return f"arn:{self.partition}:ssm:*:*:document/*"

    @property
    def sessions(self) -> str:
        return f"arn:{self.partition}:ssm:*:*:session/*"

    @property
    def targets(self) -> tuple[str, str]:
        return self.instances, self.hybrid

    def document(self, name: str) -> str:
        """A document that AWS owns has no account in its ARN; one of your own has."""
        account = "" if name.startswith(("AWS-", "AWSSupport-", "AmazonCloudWatch-")) else "*"
        return f"arn:{self.partition}:ssm:*:{account}:document/{name}"


def tagged(value: str | None) -> dict[str, tuple[str, ...] | None]:
    """Facts of a request on an instance whose SSM tag has this value, or that has none."""
    tag = SSM_TAG.lower()
    there = None if value is None else (value,)
    return {
        f"ssm:resourcetag/{tag}": there,
        f"aws:resourcetag/{tag}": there,
        # Neither action takes tags, and SSM has no key of EC2's.
        REQUEST_TAG: None,
        TAG_KEYS: None,
        "ec2:resourcetag/": None,
    }


def setting_the_tag(key: str = SSM_TAG, value: str = SSM_TAG_VALUE) -> dict[str, tuple[str, ...] | None]:
    """Facts of a CreateTags on a thing that is there already: ec2:CreateAction is in the others alone."""
    return {TAG_KEYS: (key,), REQUEST_TAG + SSM_TAG.lower(): (value,), "ec2:createaction": None}


def written_values(statements: Iterable[Statement]) -> tuple[str, ...]:
    """Values that a request may give the tag: True, others, and those that conditions on aws:RequestTag speak of.

    Whoever may write any of them is not held back: with both spellings of the key in one request it is not defined
    which value the condition sees, and what comes near to True is taken for a slip, and mended.
    """
    found = {SSM_TAG_VALUE: None, "Other": None}
    for statement in statements:
        for condition in statement.conditions:
            if condition.key.lower() == REQUEST_TAG + SSM_TAG.lower():
                for text in condition.values.strings:
                    found |= dict.fromkeys(text.replace("*", each).replace("?", "z") for each in ("z", ""))
    return tuple(found)


# What an action that knows no resources never has.
NO_TAGS: Facts = dict.fromkeys((*TAG_PREFIXES, REQUEST_TAG, TAG_KEYS))
# In lower case as well: the names of condition keys know no case, so that IAM may take it for ours.
TAG_SPELLINGS = (SSM_TAG, SSM_TAG.lower())


def is_on_our_tag(key: str) -> bool:
    """Whether a condition key shows the SSM tag, of a resource or of the request."""
    prefix, slash, name = key.lower().partition("/")
    return bool(slash) and name == SSM_TAG.lower() and prefix.endswith("tag")


def wrong_values(statements: Iterable[Statement]) -> tuple[str | None, ...]:
    """What a sound condition on the tag shuts out: no tag, and every value but True.

    Values stand for all others by being made of those that the conditions have, wildcards filled in.
    """
    found: dict[str | None, None] = {None: None, "Other": None, "true": None}
    for statement in statements:
        for condition in statement.conditions:
            if is_on_our_tag(condition.key):
                for text in condition.values.strings:
                    for filling in ("z", ""):
                        made = text.replace("*", filling).replace("?", "z")
                        found |= {made: None, made.swapcase(): None}
    found.pop(SSM_TAG_VALUE, None)
    return tuple(found)


def open_targets(documents: Iterable[Document], action: str, partition: str) -> list[Statement]:
    """The statements that let an action reach instances which do not carry the tag as they should."""
    documents = list(documents)
    values = wrong_values(each for document in documents for each in document.statements)
    found: dict[int, Statement] = {}
    for target in Place(partition).targets:
        for value in values:
            for each in open_in(documents, Ask(action, target, tagged(value)), partition):
                found[id(each)] = each
    return list(found.values())
