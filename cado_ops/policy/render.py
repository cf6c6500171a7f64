"""A document as text to paste: JSON, a CloudFormation template that a StackSet can deploy, or Terraform.

Tokens of `names` become what each of them says for "this partition", "this account" and its parameters. Policy
variables (``${aws:userid}``) are IAM's own: they must pass through both unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cado_ops.policy.document import Document
from cado_ops.policy.names import TOKEN
from cado_ops.visible import escape, escape_json, is_seen

FORMATS = ("json", "cloudformation", "terraform")


class Kind(StrEnum):
    """What a document is attached to."""

    CADO_ROLE = "cado-role"
    OPERATOR_ROLE = "operator-role"
    TRUST = "trust"
    KEY = "key"
    SCP = "scp"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Rendering:
    """A document, its name (``ssm-tagged``), and the defaults of the parameters that it has tokens for.

    ``path`` is that of the role, where the document is a role's trust.
    """

    name: str
    kind: Kind
    document: Document
    defaults: Mapping[str, str]
    path: str = "/"


def _json(data: Any) -> str:
    return escape_json(json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def as_json(document: Document) -> str:
    return _json(document.as_json())


# CloudFormation

_PSEUDO = {"Partition": "AWS::Partition", "AccountId": "AWS::AccountId"}
_PARAMETERS: dict[str, dict[str, str]] = {
    "CadoRoleName": {"Type": "String", "Description": "The Cado role in this account, without its path."},
    "OperatorRoleName": {"Type": "String", "Description": "The role that cado-ops assumes in this account."},
    "TrustedPrincipal": {"Type": "String", "Description": "Who may assume the operator role: an ARN."},
    "ExternalId": {
        "Type": "String",
        "Description": "The external id that cado-ops gives with --external-id.",
        "MinLength": "2",
    },
    "TargetIds": {"Type": "CommaDelimitedList", "Description": "The roots, units or accounts to attach it to."},
}


def as_cloudformation(rendering: Rendering) -> str:
    """A template, or the document with CloudFormation's functions where it goes into a resource that is there."""
    document = _substituted(rendering.document.as_json())
    if rendering.kind is Kind.KEY:
        return _json(document)
    title = rendering.name.title().replace("-", "")
    description = f"cado-ops policy show {rendering.name}"
    match rendering.kind:
        case Kind.TRUST:
            properties: dict[str, Any] = {
                "RoleName": {"Ref": "OperatorRoleName"},
                "Path": rendering.path,
                "Description": "Assumed by cado-ops: tags instances and grants keys for Cado.",
                "AssumeRolePolicyDocument": document,
            }
            resource, extra = {"Type": "AWS::IAM::Role", "Properties": properties}, ["OperatorRoleName"]
        case Kind.SCP:
            properties = {
                "Name": f"cado-ops-{rendering.name}",
                "Description": description,
                "Type": "SERVICE_CONTROL_POLICY",
                "TargetIds": {"Ref": "TargetIds"},
                "Content": document,
            }
            resource, extra = {"Type": "AWS::Organizations::Policy", "Properties": properties}, ["TargetIds"]
        case _:
            properties = {"Description": description, "PolicyDocument": document}
            extra = []
            role = {Kind.CADO_ROLE: "CadoRoleName", Kind.OPERATOR_ROLE: "OperatorRoleName"}.get(rendering.kind)
            if role is not None:
                properties["Roles"] = [{"Ref": role}]
                extra = [role]
            resource = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
    used = [name for name in _PARAMETERS if name in extra or f"${{{name}}}" in json.dumps(document)]
    template: dict[str, Any] = {"AWSTemplateFormatVersion": "2010-09-09", "Description": description}
    if used:
        template["Parameters"] = {name: _parameter(name, rendering.defaults) for name in used}
    template["Resources"] = {title: resource}
    return _json(template)


def _parameter(name: str, defaults: Mapping[str, str]) -> dict[str, str]:
    default = defaults.get(name)
    return _PARAMETERS[name] | ({"Default": default} if default is not None else {})


def _substituted(data: Any) -> Any:
    """Every string that has a token, as ``Fn::Sub``; others stay, and their ``${…}`` is IAM's."""
    match data:
        case dict():
            return {key: _substituted(value) for key, value in data.items()}
        case list():
            return [_substituted(value) for value in data]
        case str() if TOKEN.search(data):
            # "Fn::Sub": ${!…} is a literal ${…}.
            escaped = data.replace("${", "${!")
            return {"Fn::Sub": TOKEN.sub(lambda match: f"${{{_PSEUDO.get(match[1], match[1])}}}", escaped)}
    return data


# Terraform

_DATA = {
    "Partition": ('data "aws_partition" "current" {}\n', "data.aws_partition.current.partition"),
    "AccountId": ('data "aws_caller_identity" "current" {}\n', "data.aws_caller_identity.current.account_id"),
}
_VARIABLES = {
    "CadoRoleName": "cado_role_name",
    "OperatorRoleName": "operator_role_name",
    "TrustedPrincipal": "trusted_principal",
    "ExternalId": "external_id",
}


def as_terraform(rendering: Rendering) -> str:
    """HCL: the data sources and variables that it uses, and the resource."""
    body = _hcl(rendering.document.as_json(), 1)
    name = rendering.name.replace("-", "_")
    label = f"cado-ops-{rendering.name}"
    described = f'  description = "cado-ops policy show {rendering.name}"\n'
    match rendering.kind:
        case Kind.KEY:
            head = '# For "policy" of an aws_kms_key or aws_kms_key_policy.\n'
            head += f"locals {{\n  {name} = jsonencode({body})\n}}\n"
        case Kind.TRUST:
            head = (
                f'resource "aws_iam_role" "{name}" {{\n  name = var.operator_role_name\n'
                f'  path = "{rendering.path}"\n'
                f"  assume_role_policy = jsonencode({body})\n}}\n"
            )
        case Kind.SCP:
            head = (
                f'resource "aws_organizations_policy" "{name}" {{\n  name = "{label}"\n{described}'
                f'  type = "SERVICE_CONTROL_POLICY"\n  content = jsonencode({body})\n}}\n'
            )
        case _:
            head = f'resource "aws_iam_policy" "{name}" {{\n  name_prefix = "{label}-"\n{described}'
            head += f"  policy = jsonencode({body})\n}}\n"
            role = {Kind.CADO_ROLE: "CadoRoleName", Kind.OPERATOR_ROLE: "OperatorRoleName"}.get(rendering.kind)
            if role is not None:
                head += (
                    f'\nresource "aws_iam_role_policy_attachment" "{name}" {{\n'
                    f"  role       = var.{_VARIABLES[role]}\n  policy_arn = aws_iam_policy.{name}.arn\n}}\n"
                )
    head = re.sub(rf"^  ({_ARGUMENTS}) = ", _aligned(head), head, flags=re.M)
    sources = [text for token, (text, use) in _DATA.items() if use in head]
    variables = [
        _variable(name, rendering.defaults.get(token))
        for token, name in _VARIABLES.items()
        if re.search(rf"\bvar\.{name}\b", head)
    ]
    return "\n".join([*sources, *variables, head])


_ARGUMENTS = "name|name_prefix|path|description|type|policy|content|assume_role_policy"


def _aligned(text: str) -> Any:
    """terraform fmt lines up the arguments that stand together."""
    names = re.findall(rf"^  ({_ARGUMENTS}) = ", text, flags=re.M)
    width = max(map(len, names), default=0)
    return lambda match: f"  {match[1]:<{width}} = "


def _variable(name: str, default: str | None) -> str:
    if default is None:
        return f'variable "{name}" {{\n  type = string\n}}\n'
    return f'variable "{name}" {{\n  type    = string\n  default = {_quoted(default)}\n}}\n'


def _hcl(data: Any, depth: int) -> str:
    """Data as an HCL expression. Names stand in quotes: those of conditions have colons."""
    pad, end = "  " * (depth + 1), "  " * depth
    match data:
        case dict():
            inside = "".join(
                f"{pad}{_quoted(str(key))} = {_hcl(value, depth + 1)}\n" for key, value in data.items()
            )
            return f"{{\n{inside}{end}}}" if data else "{}"
        case list():
            inside = "".join(f"{pad}{_hcl(value, depth + 1)},\n" for value in data)
            return f"[\n{inside}{end}]" if data else "[]"
        case str():
            return _quoted(data)
    return json.dumps(data)


_ESCAPED = re.compile(r"\\.")
_NOT_OF_HCL = {r"\b": r"\u0008", r"\f": r"\u000c"}


def _quoted(text: str) -> str:
    """A string of HCL ("Strings and Templates"): ``$${`` and ``%%{`` are literal, tokens are references."""
    escaped = json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    escaped = _ESCAPED.sub(lambda each: _NOT_OF_HCL.get(each[0], each[0]), escaped)

    def reference(match: re.Match[str]) -> str:
        token = match[1]
        return f"${{{_DATA[token][1]}}}" if token in _DATA else f"${{var.{_VARIABLES[token]}}}"

    referring = TOKEN.sub(reference, escaped)
    # Not by halves, as in JSON: HCL has an escape of eight digits.
    return "".join(char if is_seen(char) else escape(char, short=False) for char in referring)
