"""Run Command and sessions: the instance and the document, each of which has to be allowed."""

from __future__ import annotations

from cado_ops.model import SSM_TAG, SSM_TAG_VALUE
from cado_ops.verdict.denial import fixes
from cado_ops.verdict.denial.model import UNKNOWN, Told
from cado_ops.verdict.denial.plain import Meaning, not_allowed_or_plain
from cado_ops.verdict.denial.words import named

TAG = f"{SSM_TAG}={SSM_TAG_VALUE}"
TAGGED = ("ssm:SendCommand", "ssm:StartSession")


def run_command(told: Told, case: str | None) -> Meaning:
    """Run Command and sessions: the instance, then the document, each has to be allowed."""
    found = fixes.arn(told.resource)
    if found and found.service == "ssm" and found.rest.startswith("document/"):
        document = found.rest.partition("/")[2]
        return "document-not-allowed", _document(told, document, found.partition), None
    if (told.resource or "").startswith("mi-") or (found and found.rest.startswith("managed-instance/")):
        return (
            "not-allowed",
            "It is a hybrid node (mi-…), registered with Systems Manager by activation. Cado's policies name "
            "EC2 instances only, and a hybrid node has no EC2 tag: the tag cannot help. The Cado role's policy "
            "would have to allow it.",
            None,
        )
    instance = fixes.instance(told.resource)
    shortened = (told.resource or "").startswith("i-")
    if instance is None and not shortened:
        return not_allowed_or_plain(told)
    cause = (
        "No policy of the caller allows it on this instance. With Cado's tightened policy that is the missing "
        f"tag: the instance has to carry {TAG}, written exactly so."
        if told.denied_by != UNKNOWN
        else f"AWS does not say which policy is missing. With Cado's tightened policy it is the tag {TAG}."
    )
    if told.action == "ssm:StartSession":
        cause += " A session needs its session document allowed as well."
    if instance is None:
        return "missing-tag", cause + " The text does not name the instance in full: tag it by its id.", None
    caller = fixes.arn(told.principal)
    account = told.account or (caller.account if caller else None)
    if not (instance.region or fixes.region(told.region)):
        cause += " The text names no region: add --region, unless it is your profile's."
    cause += " If the tag is there already, the policy does not allow the action at all."
    return "missing-tag", cause, fixes.tag_command(instance, account, told.region, case)


def _document(told: Told, document: str, partition: str) -> str:
    cause = (
        f"It is the document that is not allowed, not the instance: {named(document)}. "
        + ("Run Command" if told.action == "ssm:SendCommand" else "A session")
        + " needs both. A document carries no tag: it has to stand in a statement without the tag's condition, "
        "beside the tagged one; tagging instances does not help. Who manages the Cado role's policy has to add it."
    )
    if document not in ("AWS-RunShellScript", "AWS-RunPowerShellScript") and told.action == "ssm:SendCommand":
        cause += " The platform itself uses AWS-RunShellScript and AWS-RunPowerShellScript only."
    if partition != "aws":
        cause += f" Cado's published policy names documents as arn:aws:…, and here it takes arn:{partition}:…"
    return cause
