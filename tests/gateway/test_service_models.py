"""The service models that are cut down: what the gateways call is in them, and they say what botocore's say."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader

from cado_ops.aws import service_models
from cado_ops.aws.service_models import OPERATIONS, CutLoader, cut_model, use_cut_models

ROOT = Path(__file__).resolve().parents[2]
STOCK = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])

by_service = pytest.mark.parametrize("service", OPERATIONS)


def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("models_script", ROOT / "scripts" / "models.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    files: dict[str, str] = script.made()
    return files


def test_they_are_what_the_script_makes_of_this_botocore():
    kept = {path.name: path.read_text() for path in (ROOT / "cado_ops" / "aws" / "models").glob("*.json")}
    assert kept == made(), "run scripts/models"


def test_every_operation_that_a_gateway_calls_is_in_them():
    """Any text in a gateway that is the name of an operation counts as a call."""
    wanted: dict[str, set[str]] = {}
    known = {service: set(STOCK.load_service_model(service, "service-2")["operations"]) for service in OPERATIONS}
    for path in (ROOT / "cado_ops" / "aws").glob("*.py"):
        if path.name in ("service_models.py", "pace.py", "retry.py", "faults.py"):
            continue  # names in tables, called by nobody
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for service in known:
            # A gateway is called as its service; the connection makes STS's calls.
            if service in strings or path.stem == service:
                wanted.setdefault(service, set()).update(strings & known[service])
    assert wanted.keys() == OPERATIONS.keys()
    missing = {service: names - set(OPERATIONS[service]) for service, names in wanted.items()}
    assert {service: names for service, names in missing.items() if names} == {}, "add them, and run scripts/models"


@by_service
def test_an_operation_has_all_of_its_shapes(service: str):
    model = botocore.session.Session()
    use_cut_models(model)
    cut, whole = model.get_service_model(service), botocore.session.Session().get_service_model(service)
    assert sorted(cut.operation_names) == sorted(OPERATIONS[service])
    for name in OPERATIONS[service]:
        ours, theirs = cut.operation_model(name), whole.operation_model(name)
        assert _tree(ours.input_shape) == _tree(theirs.input_shape)
        assert _tree(ours.output_shape) == _tree(theirs.output_shape)
        assert ours.http == theirs.http
        assert [each.name for each in ours.error_shapes] == [each.name for each in theirs.error_shapes]
    assert cut.metadata == whole.metadata


def _tree(shape: Any, above: tuple[str, ...] = ()) -> Any:
    """All that serializing and parsing ask of a shape."""
    if shape is None or shape.name in above:
        return None
    own = (shape.name, shape.type_name, dict(shape.serialization), shape.metadata)
    match shape.type_name:
        case "structure":
            inner = {name: _tree(member, (*above, shape.name)) for name, member in shape.members.items()}
        case "list":
            inner = _tree(shape.member, (*above, shape.name))
        case _:
            inner = None
    return own, inner


def test_a_member_that_is_called_documentation_stays():
    model = {
        "operations": {
            "Do": {"input": {"shape": "In"}, "documentation": "<p>Does.</p>"},
            "Leave": {"name": "Leave"},
        },
        "shapes": {
            "In": {"type": "structure", "members": {"documentation": {"shape": "Text", "documentation": "Words."}}},
            "Text": {"type": "string"},
            "Unused": {"type": "string"},
        },
    }
    assert cut_model(model, ("Do", "New")) == {
        "operations": {"Do": {"input": {"shape": "In"}}},
        "shapes": {
            "In": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Text": {"type": "string"},
        },
    }


class TestAnotherBotocore:
    @pytest.fixture(autouse=True)
    def _other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        service_models.piece.cache_clear()
        monkeypatch.setattr(service_models, "fingerprint", lambda name: "another")
        yield
        service_models.piece.cache_clear()

    @by_service
    def test_its_own_models_are_cut(self, service: str):
        model = CutLoader().load_service_model(service, "service-2")
        assert model == cut_model(STOCK.load_service_model(service, "service-2"), OPERATIONS[service])

    def test_and_its_own_endpoints(self):
        whole = STOCK.load_data("endpoints")
        cut = CutLoader().load_data("endpoints")
        for ours, theirs in zip(cut["partitions"], whole["partitions"], strict=True):
            assert ours["regions"] == theirs["regions"]
            assert ours["services"].items() <= theirs["services"].items()
            assert {"ec2", "kms", "sts"} <= ours["services"].keys()


@pytest.mark.parametrize("service", ["s3", "sso"])
def test_what_is_not_cut_is_botocores(service: str):
    assert CutLoader().load_service_model(service, "service-2") == STOCK.load_service_model(service, "service-2")


def test_a_users_own_models_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    session = botocore.session.Session()
    use_cut_models(session)
    assert not isinstance(session.get_component("data_loader"), CutLoader)
    monkeypatch.delenv("AWS_DATA_PATH")
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path))
    session = botocore.session.Session()
    use_cut_models(session)
    assert not isinstance(session.get_component("data_loader"), CutLoader)


def test_a_service_that_is_not_there():
    with pytest.raises(Exception, match="Unknown service"):
        CutLoader().load_service_model("no-such-service", "service-2")
