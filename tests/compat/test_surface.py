"""Every public name of the official SDK is ours too, with its parameters, defaults, members and fields."""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import betterproto
import pytest

import fishjam_agents.fishjam as ours

fishjam = pytest.importorskip("fishjam", reason="needs the official fishjam-server-sdk: make test-compat")
pytestmark = pytest.mark.compat

from fishjam._fishjam_openapi_client.types import UNSET  # noqa: E402

MODULES = ["agent", "errors", "events", "peer", "recording", "room"]

COMPOSITION = "the Composition API is a product of its own and out of scope"

MISSING = {
    "fishjam.CompositionClient": COMPOSITION,
    "fishjam.Mp4InputDurations": COMPOSITION,
    "fishjam.WhipInputTarget": COMPOSITION,
    "fishjam.composition": COMPOSITION,
    "fishjam.errors.CompositionNotFoundError": COMPOSITION,
    "fishjam.errors.InputNotFoundError": COMPOSITION,
    "fishjam.errors.OutputNotFoundError": COMPOSITION,
    "fishjam.errors.RendererNotFoundError": COMPOSITION,
    "HTTPError.from_response": "private in the official documentation (@private)",
    "fishjam.errors.error_for_status": "private in the official documentation (@private)",
    "fishjam.agent.AgentSession.__init__": "made by Agent.connect; takes the socket, which is internal",
    "fishjam.agent.IncomingTrackData": "fields are compared; the class is our own, lighter one",
    "fishjam.agent.IncomingTrackImage": "fields are compared; the class is our own, lighter one",
}
"""What is not here, and why."""

DEFAULTS = {
    "fishjam.room.RoomConfig.room_type": "conference, which leaving it out means",
}
"""Defaults that differ, and why."""


def official_names() -> Iterator[str]:
    for name in fishjam.__all__:
        yield f"fishjam.{name}"
    for module_name in MODULES:
        module = importlib.import_module(f"fishjam.{module_name}")
        names = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
        ]
        for name in names:
            yield f"fishjam.{module_name}.{name}"


def find(path: str, package: Any) -> Any:
    """The object that `path` names, `fishjam` being `package`."""
    _, *modules, name = path.split(".")
    module = importlib.import_module(".".join([package.__name__, *modules]))
    return getattr(module, name)


def parameters(function: Any) -> list[inspect.Parameter]:
    found = list(inspect.signature(function).parameters.values())
    return [item for item in found if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]


def plain(default: Any) -> Any:
    """A default, told apart neither by the official marker for "left out" nor by the enumeration's class."""
    if default is UNSET:
        return None
    if isinstance(default, enum.Enum):
        return default.value
    if type(default).__name__ in ("AgentOutputOptions", "_HAS_DEFAULT_FACTORY_CLASS"):
        return type(default).__name__
    return default


def compare_signatures(path: str, theirs: Any, mine: Any) -> None:
    mine_by_name = {item.name: item for item in parameters(mine)}
    expected = parameters(theirs)
    for wanted in expected:
        assert wanted.name in mine_by_name, f"{path} does not take {wanted.name!r}"
        given = mine_by_name[wanted.name]
        # What must be given there may be left out here.
        if wanted.default is not wanted.empty and f"{path}.{wanted.name}" not in DEFAULTS:
            assert plain(given.default) == plain(wanted.default), f"{path}: default of {wanted.name!r}"
    positional = [item.name for item in expected if item.kind is item.POSITIONAL_OR_KEYWORD]
    order = [item.name for item in mine_by_name.values() if item.kind is item.POSITIONAL_OR_KEYWORD]
    assert order[: len(positional)] == positional, f"{path}: order of parameters"
    extra = [item for name, item in mine_by_name.items() if name not in {item.name for item in expected}]
    assert all(item.default is not item.empty for item in extra), f"{path} demands more"


def methods(kind: type) -> Iterator[str]:
    for name, value in inspect.getmembers(kind):
        inherited = name in dir(betterproto.Message) or name in dir(Exception)
        if callable(value) and not name.startswith("_") and not inherited:
            yield name


def compare_classes(path: str, theirs: type, mine: Any) -> None:
    if issubclass(theirs, enum.Enum | betterproto.Enum):
        for item in theirs:  # type: ignore[attr-defined]
            assert mine[item.name].value == item.value, f"{path}.{item.name}"
        return
    if issubclass(theirs, betterproto.Message):
        wanted = theirs()._betterproto.meta_by_field_name
        given = mine()._betterproto.meta_by_field_name
        for name, meta in wanted.items():
            assert (given[name].number, given[name].proto_type) == (meta.number, meta.proto_type), path
        return
    if not parameters(theirs.__init__)[1:]:
        mine()
    elif f"{path}.__init__" not in MISSING:
        compare_signatures(path, theirs, mine)
    for name in methods(theirs):
        if getattr(theirs, name).__qualname__ not in MISSING:
            assert hasattr(mine, name), f"{path}.{name} is missing"
            compare_signatures(f"{path}.{name}", getattr(theirs, name), getattr(mine, name))


@pytest.mark.parametrize("path", sorted(set(official_names()) - set(MISSING)))
def test_a_public_name_is_here_too(path: str) -> None:
    theirs = find(path, fishjam)
    mine = find(path, ours)
    if inspect.isclass(theirs):
        compare_classes(path, theirs, mine)
    elif inspect.isfunction(theirs):
        compare_signatures(path, theirs, mine)


@pytest.mark.parametrize("name", sorted(methods(fishjam.FishjamClient)))
def test_the_async_client_has_every_method_of_the_blocking_one(name: str) -> None:
    theirs = getattr(fishjam.FishjamClient, name)
    compare_signatures(f"fishjam.AsyncFishjamClient.{name}", theirs, getattr(ours.AsyncFishjamClient, name))


@pytest.mark.parametrize("name", ["IncomingTrackData", "IncomingTrackImage"])
def test_frames_have_the_official_fields(name: str) -> None:
    mine = getattr(importlib.import_module("fishjam_agents.fishjam.agent"), name)
    fields = getattr(fishjam.agent, name)()._betterproto.meta_by_field_name
    assert list(inspect.signature(mine).parameters) == list(fields)


def test_what_is_missing_is_missing_indeed() -> None:
    for path in MISSING:
        if path.count(".") == 1 or (path.startswith("fishjam.errors.") and path.count(".") == 2):
            with pytest.raises((AttributeError, ImportError)):
                find(path.replace("error_for_status", "missing"), ours)


def test_errors_are_caught_as_there() -> None:
    for path in official_names():
        theirs = find(path, fishjam)
        if path not in MISSING and inspect.isclass(theirs) and issubclass(theirs, Exception):
            names = {kind.__name__ for kind in inspect.getmro(find(path, ours))}
            assert {kind.__name__ for kind in inspect.getmro(theirs)} <= names, path


def test_every_notification_told_there_is_told_here() -> None:
    theirs = importlib.import_module("fishjam.events.allowed_notifications").ALLOWED_NOTIFICATIONS
    mine = importlib.import_module(
        "fishjam_agents.fishjam.events.allowed_notifications"
    ).ALLOWED_NOTIFICATIONS
    assert {kind.__name__ for kind in theirs} < {kind.__name__ for kind in mine}


def test_the_gemini_integration_is_here_too() -> None:
    pytest.importorskip("google.genai")
    theirs = importlib.import_module("fishjam.integrations.gemini").GeminiIntegration
    mine = importlib.import_module("fishjam_agents.fishjam.integrations.gemini").GeminiIntegration
    compare_signatures("GeminiIntegration.create_client", theirs.create_client, mine.create_client)
    assert mine.GEMINI_AUDIO_MIME_TYPE == theirs.GEMINI_AUDIO_MIME_TYPE
    for name in ("GEMINI_INPUT_AUDIO_SETTINGS", "GEMINI_OUTPUT_AUDIO_SETTINGS"):
        wanted = vars(getattr(theirs, name))
        assert {key: getattr(getattr(mine, name), key) for key in wanted} == wanted


def test_the_requests_of_both_are_the_same_bytes() -> None:
    """What ours sends is what the official generated client sends, key by key."""
    from fishjam._fishjam_openapi_client import models

    from fishjam_agents.fishjam import endpoints, recording

    assert (
        endpoints.create_room().body
        == models.RoomConfig(max_peers=None, webhook_url=None, room_type=models.RoomType.CONFERENCE).to_dict()
    )
    theirs = models.TemplateSource("http://c", resolution=models.TemplateSourceResolution(480, 640))
    mine = recording.TemplateSource("http://c", resolution=recording.TemplateSourceResolution(480, 640))
    assert mine.to_dict() == theirs.to_dict()
    assert endpoints.forward_room_tracks("r", "u").body == models.TrackForwarding("u").to_dict()
    assert endpoints.create_moq_access("a").body == models.MoqAccessConfig("a", None).to_dict()
    options = ours.PeerOptionsVapi("key", "call", True, "manual")
    assert (
        endpoints.create_vapi_agent("r", options).body
        == models.PeerConfigVAPI(
            models.PeerOptionsVapi("key", "call", True, models.SubscribeMode.MANUAL),
            models.PeerConfigVAPIType.VAPI,
        ).to_dict()
    )
