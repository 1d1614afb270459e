"""Names that users import: complete, and the same for a type checker as at run time."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import fishjam_agents
from fishjam_agents import AgentPipeline, turns

PACKAGES = ["fishjam_agents", "fishjam_agents.turns", "fishjam_agents.fishjam"]

ELSEWHERE = {
    "BridgedPeer": "made by the worker, for a model that Fishjam itself brings into the room",
    "CallJournal": "opened by the worker for a call",
    "CallVendors": "made by the worker, for the places that a call takes at vendors",
    "Recorder": "a protocol; `observe.replay.CallRecorder` is one",
    "RunningBot": "what users subclass by the name AgentPipeline",
    "SoundRecorder": "a protocol; `observe.recording.SoundRecorder` is one",
    "ToolDeclaration": "made by `tool`, read by backends",
}
"""What `AgentPipeline` names and its subclasses do not, and why."""


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_names_that_are_loaded_on_demand(name: str) -> None:
    package = import_module(name)
    assert package.__file__ is not None
    seen = {
        alias.asname or alias.name
        for node in ast.parse(Path(package.__file__).read_text()).body
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == set(package._HOMES)
    assert seen == set(package.__all__) - {"__version__"}
    for exported in package.__all__:
        assert getattr(package, exported) is not None
        assert exported in dir(package)


def classes(annotation: Any) -> Iterator[type]:
    """Our classes that an annotation names, and those that the fields of settings name."""
    if typing.get_origin(annotation) is not None:
        for argument in typing.get_args(annotation):
            yield from classes(argument)
    elif inspect.isclass(annotation) and annotation.__module__.startswith("fishjam_agents"):
        yield annotation
        if dataclasses.is_dataclass(annotation):
            hints = typing.get_type_hints(annotation)
            for field in dataclasses.fields(annotation):
                yield from classes(hints[field.name])


def test_whatever_a_bot_is_given_or_sets_can_be_imported_from_the_top() -> None:
    needed: set[type] = set()
    for base in AgentPipeline.__mro__[:-1]:
        for name, value in vars(base).items():
            if not name.startswith("_") and inspect.isfunction(value):
                for annotation in typing.get_type_hints(value).values():
                    needed |= set(classes(annotation))
    for name, annotation in typing.get_type_hints(AgentPipeline).items():
        if not name.startswith("_"):
            needed |= set(classes(annotation))
    exported = {getattr(fishjam_agents, name) for name in fishjam_agents.__all__}
    assert len(needed) > 20
    assert {kind.__qualname__ for kind in needed - exported} == set(ELSEWHERE)


def test_every_policy_of_turn_taking_can_be_imported_from_turns() -> None:
    for name in ("endpointing", "policies"):
        module = import_module(f"fishjam_agents.turns.{name}")
        public = {
            kind.__name__
            for kind in vars(module).values()
            if inspect.isclass(kind)
            and kind.__module__ == module.__name__
            and not kind.__name__.startswith("_")
        }
        assert public <= set(turns.__all__)
