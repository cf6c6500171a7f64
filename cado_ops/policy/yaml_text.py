"""YAML that remembers where it stands, and can be edited in place: comments and all that is not touched stay.

CloudFormation's short forms ("Intrinsic function reference": ``!Sub``, ``!Ref``, ``!GetAtt``) are read as the long
ones, ``{"Fn::Sub": …}``, which the model passes through. What is written anew has the short form again where the
source had it. Only this module knows PyYAML.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from cado_ops.arns import shown
from cado_ops.errors import PolicyError
from cado_ops.policy.document import is_intrinsic
from cado_ops.policy.json_text import MAX_DEPTH, MAX_NODES, MAX_NUMBER, MAX_TEXT, TOO_MANY, Path, Position

_NO_FN = ("Ref", "Condition")
_STRINGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_WIDE = 10_000  # columns: a line is never folded


@dataclass(frozen=True)
class ParsedYaml:
    """Plain data, where each piece begins, and the nodes it was made of, by path."""

    text: str
    data: Any
    positions: Mapping[Path, Position]
    nodes: Mapping[Path, yaml.Node] = field(repr=False)
    # How an intrinsic function was written: the short form's tag, by the JSON of the long one ("" where it was
    # written so).
    short: Mapping[str, str] = field(repr=False)


def parse_yaml(text: str, where: str) -> ParsedYaml:
    """The text as data with places. Raises PolicyError: one line, ``where:line:column`` in front."""
    if len(text) > MAX_TEXT:
        raise PolicyError(f"{where}: longer than {MAX_TEXT // 1024} KiB, which no policy should be")
    try:
        # Of more than one no more is read than shows that there are.
        documents = list(islice(yaml.compose_all(text, Loader=_Loader), 2))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise PolicyError(f"{where}{place}: no valid YAML ({error.problem or error.context})") from None
    except yaml.YAMLError as error:
        raise PolicyError(f"{where}: no valid YAML ({str(error).splitlines()[0]})") from None
    except RecursionError:
        raise PolicyError(f"{where}: YAML nested far too deep") from None
    except (ValueError, OverflowError):  # "\\U00110000"
        raise PolicyError(f"{where}: the number of a character that there is none of") from None
    if len(documents) != 1:
        several = "several YAML documents" if documents else "no YAML document"
        raise PolicyError(f"{where}: {several}, where one was expected")
    reader = _Reader(where)
    data = reader.value(documents[0], (), ())
    if any(reader.short.values()):
        # Who writes functions in the short form wants those that are added so too.
        reader.short.setdefault("Fn::Sub", "!Sub")
    return ParsedYaml(text, data, reader.positions, reader.nodes, reader.short)


class _Loader(yaml.SafeLoader):
    """Counts what it makes: a file full of brackets would else be read for a minute, to be refused then."""

    made = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.made += 1
        if self.made > MAX_NODES:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=TOO_MANY, problem_mark=mark)
        return super().compose_node(parent, index)


class _Reader:
    def __init__(self, where: str) -> None:
        self.where = where
        self.positions: dict[Path, Position] = {}
        self.nodes: dict[Path, yaml.Node] = {}
        self.short: dict[str, str] = {}
        self.scalars = yaml.SafeLoader("")

    def error(self, node: yaml.Node, message: str) -> PolicyError:
        return PolicyError(f"{self.where}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: {message}")

    def value(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> Any:
        if id(node) in above:
            raise self.error(node, "an anchor that holds itself")
        if len(path) > MAX_DEPTH:
            raise self.error(node, f"nested deeper than {MAX_DEPTH} levels, which no policy should be")
        if len(self.nodes) > MAX_NODES:
            raise self.error(node, TOO_MANY)
        self.nodes[path] = node
        self.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        above = (*above, id(node))
        if isinstance(node, yaml.ScalarNode):
            self.check_text(node)
        if node.tag.startswith("!"):
            return self.intrinsic(node, path, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*path, index), above) for index, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, above)
        return self.scalar(node)

    def check_text(self, node: yaml.ScalarNode) -> None:
        if any("\ud800" <= each <= "\udfff" for each in node.value):
            raise self.error(node, "half a surrogate pair, which is no character")

    def mapping(self, node: yaml.MappingNode, path: Path, above: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.startswith("!"):
                raise self.error(key, "a name is plain text")
            if key.tag == "tag:yaml.org,2002:merge":
                raise self.error(key, "<< (merge) is not supported: CloudFormation does not know it")
            self.check_text(key)
            if key.value in found:
                raise self.error(key, f"{shown(key.value)} stands twice in the same object")
            found[key.value] = self.value(value, (*path, key.value), above)
        if is_intrinsic(found):
            # Written out, and to stay so; where the same stands in the short form as well, it may become that.
            self.short.setdefault(json.dumps(found), "")
        return found

    def intrinsic(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> Any:
        name = node.tag[1:]
        full = name if name in _NO_FN else f"Fn::{name}"
        # What stands in it has the path that it has in the long form.
        inside = (*path, full)
        self.nodes[inside], self.positions[inside] = node, self.positions[path]
        if isinstance(node, yaml.ScalarNode):
            value: Any = node.value
            if name == "GetAtt":
                value = list(node.value.partition(".")[::2])
        elif isinstance(node, yaml.SequenceNode):
            value = [self.value(each, (*inside, index), above) for index, each in enumerate(node.value)]
        else:
            value = self.mapping(node, inside, above)  # type: ignore[arg-type]
        made = {full: value}
        self.short[json.dumps(made)] = node.tag
        return made

    def scalar(self, node: yaml.Node) -> Any:
        # 2012-10-17 without quotes is a date to YAML and the language's version to AWS.
        if node.tag in _STRINGS:
            return node.value
        if len(node.value) > MAX_NUMBER:
            # Written in base 60, a number of a million digits would take hours.
            if node.tag in _NUMBERS:
                raise self.error(node, f"a number of more than {MAX_NUMBER} characters")
            return node.value
        try:
            value = self.scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            return node.value
        if isinstance(value, float) and not math.isfinite(value):
            return node.value  # JSON, which every policy becomes, has no such number
        return value if value is None or isinstance(value, bool | int | float) else node.value


def replace_items(parsed: ParsedYaml, path: Path, items: Sequence[tuple[int | None, Any]]) -> str:
    """The text with the list at ``path`` holding ``items``: an item's old place in the list, and its data.

    An item whose data is what stood there is left as it is written. New items (place None) stand where they stand
    among the others. What cannot be edited in place is written anew, the list as a whole.
    """
    node, old = parsed.nodes[path], parsed_value(parsed, path)
    whole = _rewritten(parsed, path, node, [data for _, data in items])
    if not isinstance(node, yaml.SequenceNode) or node.flow_style or not items or not isinstance(old, list):
        return whole
    text = parsed.text
    dash = node.start_mark.column
    # As the list itself is written, below its name or further in.
    indented = not path or dash > parsed.nodes[path[:-1]].start_mark.column
    pieces: list[str] = []
    spans = [_span(parsed, each) for each in node.value]
    previous_end = _line_start(text, node.start_mark.index)
    # What stands before each old item (comments, blank lines) goes with it.
    before = []
    for start, end in spans:
        before.append(text[previous_end:start])
        previous_end = end
    if any(not each.rstrip(" ").endswith("-") for each in before):
        return whole
    for place, data in items:
        if place is not None and data == old[place]:
            pieces.append(before[place] + text[spans[place][0] : spans[place][1]])
            continue
        lead = before[place] if place is not None else " " * dash + "- "
        if pieces and not lead.startswith("\n") and not pieces[-1].endswith("\n"):
            lead = "\n" + lead
        indent = len(lead.rpartition("\n")[2])
        pieces.append(lead + _block(parsed, data, indent, indented))
    body = "".join(
        piece if number == 0 or piece.startswith("\n") or pieces[number - 1].endswith("\n") else "\n" + piece
        for number, piece in enumerate(pieces)
    )
    start = _line_start(text, node.start_mark.index)
    if text[start : node.start_mark.index].strip():
        return whole
    edited = text[:start] + body.lstrip("\n") + text[previous_end:]
    return edited if _reads_as(edited, parsed, path, [data for _, data in items]) else whole


def parsed_value(parsed: ParsedYaml, path: Path) -> Any:
    """The data at a path."""
    value = parsed.data
    for step in path:
        value = value[step]
    return value


def write_yaml(data: Any, short: Mapping[str, str] | None = None, *, indented: bool = True) -> str:
    """Data as YAML of its own, intrinsic functions in the short form where ``short`` says so."""
    dumper = _Indented if indented else _Dumper
    marked = _marked(data, short or {})
    made: str = yaml.dump(marked, Dumper=dumper, sort_keys=False, width=_WIDE, allow_unicode=True)
    return made


def _rewritten(parsed: ParsedYaml, path: Path, node: yaml.Node, data: list[Any]) -> str:
    """The text with the value at ``path`` written anew."""
    text = parsed.text
    start, end = _span(parsed, node)
    if isinstance(node, yaml.CollectionNode) and node.flow_style:
        made = yaml.dump(
            _marked(data, parsed.short), Dumper=_Dumper, sort_keys=False, width=_WIDE, allow_unicode=True,
            default_flow_style=True,
        ).strip()  # fmt: skip
    else:
        line = text[_line_start(text, start) : start]
        if line.strip():
            # After its name, on the same line.
            indent = len(line) - len(line.lstrip(" ")) + 2
            made = "\n" + " " * indent + _block(parsed, data, indent, True)
        else:
            made = _block(parsed, data, len(line), True)
    edited = text[:start] + made + text[end:]
    if _reads_as(edited, parsed, path, data):
        return edited
    whole = _replaced(parsed.data, path, data)
    return write_yaml(whole, parsed.short)


def _replaced(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(data, dict):
        return {name: _replaced(each, rest, value) if name == step else each for name, each in data.items()}
    return [_replaced(each, rest, value) if index == step else each for index, each in enumerate(data)]


def _reads_as(text: str, parsed: ParsedYaml, path: Path, data: Any) -> bool:
    """Whether an edited text says what it should: the one test that matters of an edit in place."""
    try:
        return bool(parse_yaml(text, "edited").data == _replaced(parsed.data, path, data))
    except PolicyError:
        return False


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _span(parsed: ParsedYaml, node: yaml.Node) -> tuple[int, int]:
    """Where a node's text begins and ends. A block's own end mark is where the next thing begins, comments past."""
    return node.start_mark.index, _end(node)


def _end(node: yaml.Node) -> int:
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        text: str = node.end_mark.buffer[: node.end_mark.pointer] if node.end_mark.buffer else ""
        return int(node.end_mark.index) - (len(text) - len(text.rstrip("\n ")) if text else 0)
    return int(node.end_mark.index)


def _block(parsed: ParsedYaml, data: Any, indent: int, indented: bool) -> str:
    lines = write_yaml(data, parsed.short, indented=indented).rstrip("\n").split("\n")
    return ("\n" + " " * indent).join(lines)


class _Short:
    """An intrinsic function that is to be written in its short form."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag = tag
        self.value = value


def _marked(data: Any, short: Mapping[str, str]) -> Any:
    if is_intrinsic(data) and (tag := short.get(json.dumps(data), short.get(next(iter(data)), ""))):
        [(name, value)] = data.items()
        if name == "Fn::GetAtt" and isinstance(value, list) and all(isinstance(each, str) for each in value):
            return _Short(tag, ".".join(value))
        return _Short(tag, _marked(value, short))
    if isinstance(data, dict):
        return {name: _marked(each, short) for name, each in data.items()}
    if isinstance(data, list):
        return [_marked(each, short) for each in data]
    return data


class _Dumper(yaml.SafeDumper):
    """As people write policies: no anchors. PyYAML's own way: a list begins below the first letter of its name."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Indented(_Dumper):
    """The other way: lists indented below their names."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_short(dumper: yaml.SafeDumper, data: _Short) -> yaml.Node:
    if isinstance(data.value, str):
        return dumper.represent_scalar(data.tag, data.value, style="'" if not data.value.isalnum() else None)
    if isinstance(data.value, dict):
        return dumper.represent_mapping(data.tag, data.value)
    return dumper.represent_sequence(data.tag, data.value, flow_style=True)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # Line breaks to YAML and to nobody else: PyYAML writes them as they are, and reads them as blanks.
    style = '"' if set("\x85\u2028\u2029") & set(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(_Short, _represent_short)
_Dumper.add_representer(str, _represent_text)
