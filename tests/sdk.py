"""AWS's SDK for all commands that run in this process: its service models read once, and moto out of its way."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import botocore.client
import botocore.handlers
import botocore.hooks
import botocore.loaders
import botocore.session
import pytest


@contextmanager
def one_loader() -> Iterator[None]:
    """Every command makes a session of its own, as a process does; the service models need be read only once.

    Nor need the classes of clients be made, or event names and handlers be looked into: they say the same for
    every session. It is a third of what a command costs.
    """
    loader = botocore.loaders.create_loader()
    classes: dict[tuple[str, int], Any] = {}
    make = botocore.client.ClientCreator._create_client_class

    def once(self: Any, service_name: str, service_model: Any) -> Any:
        # The program's models are cut down, the tests' own clients' are not.
        kind = (service_name, len(service_model.operation_names))
        if kind not in classes:
            classes[kind] = make(self, service_name, service_model)
        return classes[kind]

    look = botocore.hooks.accepts_kwargs

    @functools.cache
    def look_once(function: FunctionType) -> bool:
        takes: bool = look(function)
        return takes

    def accepts_kwargs(handler: Any) -> bool:
        # Remembered by function: a method, or a partial, would keep its session alive.
        function = getattr(handler, "__func__", handler)
        return look_once(function) if isinstance(function, FunctionType) else look(handler)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda *_: loader)
        patch.setattr("botocore.client.ClientCreator._create_client_class", once)
        patch.setattr("botocore.hooks.accepts_kwargs", accepts_kwargs)
        alias = functools.cache(botocore.hooks.EventAliaser(botocore.hooks.HierarchicalEmitter())._alias_event_name)
        patch.setattr("botocore.hooks.EventAliaser._alias_event_name", lambda _, event_name: alias(event_name))
        yield


@contextmanager
def without_moto() -> Iterator[None]:
    """Once it is imported, moto takes part in every call of botocore in the process, and no request is copied then.

    Here it is the sandbox's server, and answers from there alone.
    """
    register = botocore.session.Session._register_builtin_handlers

    def all_but_motos(self: Any, events: Any) -> None:
        there = botocore.handlers.BUILTIN_HANDLERS
        there[:] = [each for each in there if not type(each[1]).__module__.startswith("moto.")]
        register(self, events)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session.Session, "_register_builtin_handlers", all_but_motos)
        yield
