"""Checks of what a user's bot is made of before a call relies on it: settings, policies, stages."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from fishjam_agents.audio.samples import is_mono
from fishjam_agents.backends.tracebacks import defined_at
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.turns.endpointing import EndOfTurn
from fishjam_agents.turns.policies import BargeInPolicy
from fishjam_agents.turns.settings import TurnSettings

_PLAIN = (Mapping, list, tuple, set, str, bytes, bool, int, float, type)
"""Values that are certainly no object of a class that a field asks for."""


def verify_settings(bot: str, settings: Mapping[str, tuple[object, type]]) -> None:
    """Check that settings are objects of their classes, and their fields what they are declared to be.

    Args:
        bot: Name of the bot's class.
        settings: Attribute to its value and the class it must have.

    Raises:
        FishjamAgentsError: One is not.
    """
    for name, (value, kind) in settings.items():
        if not isinstance(value, kind):
            raise FishjamAgentsError(
                f"{bot}.{name} is {_described(value)}: make it an object, `{name} = {kind.__name__}(...)`"
            )
        verify_fields(f"{bot}.{name}", value)


def verify_fields(where: str, settings: object) -> None:
    """Check the fields of a dataclass, and of those in it, against their declared types.

    Raises:
        FishjamAgentsError: A field holds a plain value, such as a dict, that it is not declared to hold.
    """
    for path, value, hint in _fields(where, settings):
        if isinstance(value, _PLAIN) and not _matches(value, hint):
            wanted = " or ".join(f"`{name}`" for name in _names(hint))
            raise FishjamAgentsError(f"{path} is {_described(value)}: give it {wanted}")


def _fields(where: str, settings: object) -> Iterator[tuple[str, object, Any]]:
    if not is_dataclass(settings) or isinstance(settings, type):
        return
    try:
        hints = get_type_hints(type(settings), include_extras=True)
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        return
    for field in fields(settings):
        value, path = getattr(settings, field.name, None), f"{where}.{field.name}"
        yield path, value, hints.get(field.name, Any)
        yield from _fields(path, value)


def _matches(value: object, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_matches(value, one) for one in arguments)
    if origin is Annotated:
        return _matches(value, arguments[0])
    if origin is Literal:
        return value in arguments
    if origin in (Callable, type):
        return callable(value)
    kind = hint if origin is None else origin
    if not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return True
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is Path:
        return isinstance(value, (str, Path))
    if kind is tuple or issubclass(kind, Sequence):
        return isinstance(value, kind) or (isinstance(value, (list, tuple)) and kind is not str)
    return isinstance(value, kind)


def _names(hint: Any) -> list[str]:
    if get_origin(hint) in (Union, types.UnionType):
        return [name for one in get_args(hint) for name in _names(one)]
    if get_origin(hint) is Literal:
        return [repr(value) for value in get_args(hint)]
    if hint is type(None):
        return ["None"]
    name = getattr(hint, "__name__", str(hint))
    return [f"{name}(...)" if is_dataclass(hint) else name]


def _described(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    article = "an" if type(value).__name__[0] in "aeiou" else "a"
    return "None" if value is None else f"{article} {type(value).__name__}"


_ENDING = ("silence", "fresh", "resumed", "rule", "load", "verify", "predict")


def verify_policies(bot: str, turns: TurnSettings) -> None:
    """Check the policies of turn-taking, which may be the user's own.

    Raises:
        FishjamAgentsError: One is no policy, or is asynchronous.
    """
    for policy in turns.policies:
        _verify_methods(policy, BargeInPolicy, f"{bot}.turns.barge_in", ("allows", "protects", "waits"))
    ending = turns.ending
    where = f"{bot}.turns.end_of_turn"
    _verify_methods(ending, EndOfTurn, where, _ENDING)
    fresh = ending.fresh()
    if not isinstance(fresh, EndOfTurn):
        raise FishjamAgentsError(
            f"{where}: {type(ending).__name__}.fresh returned {fresh!r}{defined_at(ending.fresh)}: "
            "return the policy for one microphone, such as self"
        )


def _verify_methods(policy: object, kind: type, where: str, methods: Sequence[str]) -> None:
    if not isinstance(policy, kind):
        made = f"make one of it, `{policy.__name__}()`" if isinstance(policy, type) else ""
        raise FishjamAgentsError(
            f"{where}: {policy!r} is no policy: {made or f'subclass {kind.__module__}.{kind.__name__}'}"
        )
    for method in methods:
        written, what = getattr(policy, method), f"{where}: {type(policy).__name__}.{method}"
        verify_synchronous(written, what)
        verify_arguments(written, getattr(kind, method), what)


def verify_arguments(written: Callable[..., Any], model: Callable[..., Any], what: str) -> None:
    """Check that a method takes the arguments it is called with.

    Args:
        written: The method, bound to its object.
        model: The one that it overrides, unbound.
        what: Name of it in messages.

    Raises:
        FishjamAgentsError: It does not.
    """
    parameters = list(inspect.signature(model).parameters)
    try:
        inspect.signature(written).bind(*parameters[1:])
    except TypeError as error:
        raise FishjamAgentsError(
            f"{what} does not take its arguments{defined_at(written)} ({error}): "
            f"write `def {model.__name__}({', '.join(parameters)})`"
        ) from None


def verify_synchronous(function: Callable[..., Any] | None, what: str) -> None:
    """Check that a function is one that is called and not awaited.

    Raises:
        FishjamAgentsError: It is a coroutine or a generator.
    """
    called = function
    if not inspect.isroutine(called):
        called = getattr(called, "__call__", None)  # noqa: B004 - its code is looked at
    if (
        inspect.iscoroutinefunction(called)
        or inspect.isasyncgenfunction(called)
        or inspect.isgeneratorfunction(called)
    ):
        raise FishjamAgentsError(
            f"{what} is called and not awaited: write `def`, not `async def`, and no yield"
        )


def verify_instructions(bot: str, instructions: object) -> None:
    """Check the system prompt.

    Raises:
        FishjamAgentsError: It is no text.
    """
    if instructions is not None and not isinstance(instructions, str):
        found = "a method" if inspect.isroutine(instructions) else _described(instructions)
        raise FishjamAgentsError(
            f"{bot}.instructions is {found}: make it a text, or a property that returns one"
        )


def verify_recording(bot: str, name: str, samples: object) -> None:
    """Check a recording that the bot plays by itself.

    Raises:
        FishjamAgentsError: It is no int16 mono audio.
    """
    if samples is not None and not is_mono(samples):
        raise FishjamAgentsError(
            f"{bot}.{name} must be int16 samples of shape (n,), not {_described(samples)}: "
            "`audio.wav.load_speech(path, rate)` reads a file so"
        )
