"""Denies for what cannot be split: wildcards in actions, NotAction, NotResource, what a template fills in.

"Policy evaluation logic", IAM User Guide: a Deny goes before every Allow, in whatever policy of the role it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.policy.document import ALLOW, DENY, Condition, Document, Statement, Value, Values
from cado_ops.policy.filled import widest
from cado_ops.policy.kms_variant import CREATE_GRANT, FAMILIES, FOR_AWS_RESOURCE, VARIANTS
from cado_ops.policy.library import TAG_KEY
from cado_ops.policy.partitions import Partitions
from cado_ops.policy.parts import CREATE_TAGS, SEND, START, TAG_WRITERS, Wish
from cado_ops.policy.patterns import covers
from cado_ops.policy.reach import (
    TAG_SPELLINGS,
    Ask,
    Facts,
    Place,
    names_action,
    open_in,
    open_targets,
    setting_the_tag,
    tagged,
    written_values,
)

# Documents that nobody names: what lets one through lets nearly every document through. They have no character in
# common, so that a Deny of some by a wildcard (``*i*``) does not pass for a Deny of all.
UNNAMED_DOCUMENTS = ("any-document-that-is-not-named", "ZQXZQX", "0909")
# One action of each family stands for it.
ONE_OF = {
    "kms:Encrypt": "kms:Encrypt",
    "kms:Decrypt": "kms:Decrypt",
    "kms:ReEncrypt*": "kms:ReEncryptFrom",
    "kms:GenerateDataKey*": "kms:GenerateDataKey",
    CREATE_GRANT: CREATE_GRANT,
}


def keys_in(place: Place) -> str:
    return f"arn:{place.partition}:kms:*:*:key/*"


def guards_for(document: Document, partitions: Partitions, wish: Wish) -> Iterator[Statement]:
    """The Denies that a policy still needs, all its statements considered; none where it is tight."""
    documents, places = [document], partitions.places
    for action, names in ((SEND, wish.documents), (START, wish.session_documents)):
        word = action.partition(":")[2]
        if any(open_targets(documents, action, place.partition) for place in places):
            yield Statement(
                sid=f"Deny{word}WithoutTheTag",
                effect=DENY,
                actions=Values.of(action),
                resources=Values.of(*partitions.arns(lambda place: place.targets)),
                conditions=(Condition("StringNotEquals", TAG_KEY, Values.of(SSM_TAG_VALUE)),),
            )
        if any(open_documents(documents, action, place) for place in places):
            yield Statement(
                sid=f"Deny{word}WithOtherDocuments",
                effect=DENY,
                actions=Values.of(action),
                not_resources=Values.of(*_with_documents([document, *wish.beside], partitions, action, names)),
            )
    writers = [each for each in TAG_WRITERS if any(taggers(documents, place, each) for place in places)]
    if writers:
        yield Statement(
            sid="DenySettingTheTag",
            effect=DENY,
            actions=Values.of(*writers),
            resources=Values.of("*"),
            conditions=(Condition("ForAnyValue:StringEqualsIgnoreCase", "aws:TagKeys", Values.of(SSM_TAG)),),
        )
    if wish.kms is not None:
        yield from _kms_guards(documents, places, wish.kms)


def _kms_guards(documents: list[Document], places: Sequence[Place], name: str) -> Iterator[Statement]:
    variant = VARIANTS[name]

    def is_open(action: str, facts: Facts) -> bool:
        return any(open_in(documents, Ask(action, keys_in(place), facts), place.partition) for place in places)

    closed = [each for each in FAMILIES if each not in variant.actions and is_open(ONE_OF[each], {})]
    if closed:
        yield Statement(sid="DenyOtherUseOfKeys", effect=DENY, actions=Values.of(*closed), resources=Values.of("*"))
    if variant.grants_for_services and is_open(CREATE_GRANT, {FOR_AWS_RESOURCE.lower(): ("false",)}):
        yield Statement(
            sid="DenyGrantsToOthers",
            effect=DENY,
            actions=Values.of(CREATE_GRANT),
            resources=Values.of("*"),
            conditions=(Condition("BoolIfExists", FOR_AWS_RESOURCE, Values.of("false")),),
        )


def open_documents(documents: Iterable[Document], action: str, place: Place) -> list[Statement]:
    """The statements that let an action have documents which nobody named: by a wildcard, or by no name at all."""
    documents = list(documents)
    names = dict.fromkeys(UNNAMED_DOCUMENTS)
    for document in documents:
        for statement in document.statements:
            for entry in statement.resources or ():
                prefix, _, name = widest(entry, place.partition).rpartition(":document/")
                # What a wildcard stands for: a document that no other pattern is likely to name.
                names |= (
                    {name.replace("*", "-other").replace("?", "z"): None}
                    if prefix and set("*?") & set(name)
                    else {}
                )
    found: dict[int, Statement] = {}
    for name in names:
        # A document has no tag of the instance's.
        ask = Ask(action, f"arn:{place.partition}:ssm:*:*:document/{name}", tagged(None))
        for statement in open_in(documents, ask, place.partition):
            found[id(statement)] = statement
    return list(found.values())


def tagging(place: Place, action: str, statements: Iterable[Statement]) -> Iterator[Ask]:
    """Every way of putting the SSM tag on an instance or a node that is there already."""
    target = place.instances if action == CREATE_TAGS else place.hybrid
    for value in written_values(statements):
        for key in TAG_SPELLINGS:
            yield Ask(action, target, setting_the_tag(key, value))


def taggers(documents: Iterable[Document], place: Place, action: str) -> list[Statement]:
    """The statements by which a role can set the tag itself."""
    documents = list(documents)
    asks = tagging(place, action, [each for document in documents for each in document.statements])
    found = {id(each): each for ask in asks for each in open_in(documents, ask, place.partition)}
    return list(found.values())


def _with_documents(
    documents: Iterable[Document], partitions: Partitions, action: str, names: Iterable[str]
) -> Iterable[Value]:
    """All that the action may have as a resource, but documents that nobody named."""
    arns = partitions.arns
    return dict.fromkeys(
        [
            *arns(lambda place: place.targets),
            *arns(lambda place: map(place.document, names)),
            *(
                each
                for document in documents
                for place in partitions.places
                for each in _named_documents(document, action, place)
            ),
            *arns(lambda place: _besides(action, place.partition)),
        ]
    )


def _named_documents(document: Document, action: str, place: Place) -> Iterator[Value]:
    """The documents that the policy's other statements name for this action: they stay allowed."""
    for statement in document.statements:
        if statement.effect != ALLOW or statement.whole is not None or not names_action(statement, action):
            continue
        for entry in statement.resources or ():
            wide = widest(entry, place.partition)
            if covers(place.documents, wide) and not set("*?") & set(wide.rpartition("/")[2]):
                yield entry


def _besides(action: str, partition: str) -> tuple[str, ...]:
    """What else the action knows as a resource: the bucket for its output, the tasks of ECS."""
    return (f"arn:{partition}:s3:::*",) if action == SEND else (f"arn:{partition}:ecs:*:*:task/*",)
