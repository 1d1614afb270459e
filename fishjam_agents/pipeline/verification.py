"""Checks that the parts of a bot fit, before a call relies on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fishjam_agents.audio import second_opinion
from fishjam_agents.audio.detectors import require
from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.hearing import echo_canceller
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.handoff_bots import make_bot
from fishjam_agents.pipeline.hooks import overrides, verify_hooks
from fishjam_agents.pipeline.idle import check_announcement
from fishjam_agents.pipeline.spoken_words import verify_own_words
from fishjam_agents.pipeline.user_objects import (
    verify_fields,
    verify_instructions,
    verify_policies,
    verify_settings,
    verify_synchronous,
)
from fishjam_agents.tools.builtin import look
from fishjam_agents.tools.collect import collect
from fishjam_agents.vision.difference import need_pillow


def verify(bot: Bot, sections: Mapping[str, type[Any]]) -> None:
    """Check a bot.

    Args:
        bot: The user's bot.
        sections: The classes that its settings must have, by attribute.

    Raises:
        FishjamAgentsError: Its parts do not fit, in one sentence that says what to do.
    """
    backend = getattr(bot, "backend", None)
    name = type(bot).__name__
    if isinstance(backend, type):
        raise FishjamAgentsError(
            f"{name}.backend is a class: make one of it, `backend = {backend.__name__}()`"
        )
    if not isinstance(backend, Backend):
        raise FishjamAgentsError(f"{name} has no backend: set `backend = Parrot()` or another one")
    _verify_objects(bot, backend, sections)
    _verify_turns(bot, backend)
    verify_hooks(bot)
    for stage in bot.input_stages:
        for method in ("process", "reset"):
            if isinstance(stage, type) or not callable(getattr(stage, method, None)):
                raise FishjamAgentsError(
                    f"{stage!r} in {name}.input_stages is no stage: it needs to be an object with the "
                    "methods process(samples, format) and reset()"
                )
    for key, announcement in (("prompt", bot.idle.prompt), ("goodbye", bot.idle.goodbye)):
        if announcement is not None:
            speaks = backend.capabilities.verbatim_say
            check_announcement(announcement, f"idle.{key}", speaks=speaks, backend=type(backend).__name__)
    if overrides(bot, "enrich"):
        _verify_enrich(name, bot, backend)
    _verify_tools(bot, backend)
    _verify_vision(bot, backend)
    require(bot.hearing.vad)
    if bot.hearing.second_opinion is not None:
        second_opinion.require(bot.hearing.second_opinion)
    if bot.hearing.echo == "aec3":
        echo_canceller.require()
    if bot.turns.hears:
        bot.turns.ending.verify()
    backend.check()
    if not bot.mcp:
        # What servers offer is known when they are connected.
        backend.check_tools([tool.declaration for tool in collect(bot, bot.tools)])
    for key, wanted in bot.handoffs.items():
        _verify_handoff(name, key, wanted, bot)


def verify_names(bot: object, base: type) -> None:
    """Check that a bot's class uses no private name of the pipeline's for something of its own.

    Args:
        bot: The user's bot.
        base: The class that users subclass.

    Raises:
        FishjamAgentsError: It does, which would break the pipeline or the bot.
    """
    kind = type(bot)
    private = {
        name for own in base.__mro__ for name in vars(own) if name.startswith("_") and not name.endswith("__")
    }
    theirs = {name for own in kind.__mro__[: kind.__mro__.index(base)] for name in vars(own)}
    # What is None in the class is set for each call.
    theirs |= {name for name in vars(bot) if getattr(base, name, None) is not None}
    taken = sorted(private & theirs)
    if taken:
        raise FishjamAgentsError(
            f"{kind.__name__}.{taken[0]} hides what {base.__name__} has by that name: give it another one"
        )


def _verify_handoff(name: str, key: str, wanted: object, bot: Bot) -> None:
    """Check one of a bot's handoffs; those of it are its own."""
    where = f"{name}.handoffs[{key!r}]"
    try:
        other = make_bot(wanted, bot.backend)
        own, other.handoffs = other.handoffs, {}
        try:
            other.verify()
        finally:
            other.handoffs = own
    except FishjamAgentsError as error:
        raise FishjamAgentsError(f"{where}: {error}") from error
    if bot.turns.mode == "backend" and not other.backend.capabilities.own_turn_detection:
        raise FishjamAgentsError(
            f"{where}: turns.mode is 'backend', but {type(other.backend).__name__} has no turn detection: "
            "set turns.mode to 'local'"
        )


def _verify_objects(bot: Bot, backend: Backend, sections: Mapping[str, type[Any]]) -> None:
    name = type(bot).__name__
    verify_settings(name, {key: (getattr(bot, key), kind) for key, kind in sections.items()})
    verify_instructions(name, bot.instructions)
    verify_policies(name, bot.turns)
    for one in backend.chain:
        verify_fields(type(one).__name__, one)
    for stage in bot.input_stages:
        verify_synchronous(getattr(stage, "process", None), f"{type(stage).__name__}.process")
    for observer in bot.observers:
        verify_synchronous(observer, f"an observer of {name}")
    verify_own_words(bot, name, backend)


def _verify_turns(bot: Bot, backend: Backend) -> None:
    mode, hearing = bot.turns.mode, bot.hearing
    for one in backend.chain:
        if mode == "backend" and not one.capabilities.own_turn_detection:
            raise FishjamAgentsError(
                f"turns.mode is 'backend', but {type(one).__name__} has no turn detection: use 'local'"
            )
    if hearing.speaker_notes and not backend.capabilities.text:
        name = type(backend.chain[0]).__name__
        raise FishjamAgentsError(f"hearing.speaker_notes is set, but {name} takes no text: remove it")
    if mode == "push_to_talk" and hearing.mode != "active_speaker":
        raise FishjamAgentsError(
            "turns.mode is 'push_to_talk', but a button is one peer's: set hearing to 'active_speaker', "
            f"not '{hearing.mode}'"
        )
    if hearing.mode != "per_peer":
        return
    hasty = [type(one).__name__ for one in backend.chain if not one.capabilities.replies_wait]
    if hasty:
        raise FishjamAgentsError(
            f"hearing is 'per_peer', but replies of {hasty[0]} would be out of date by the time the one "
            "before is over: use 'active_speaker' or 'mix'"
        )
    if mode != "local":
        raise FishjamAgentsError(
            f"hearing is 'per_peer', but turns.mode is '{mode}': a model that hears one "
            "peer cannot rule the turns of all, use 'local'"
        )


def _verify_tools(bot: Bot, backend: Backend) -> None:
    names = [tool.name for tool in collect(bot, bot.tools)]
    tools = ", ".join([*names, *(f"those of {server.label}" for server in bot.mcp)])
    for server in bot.mcp:
        server.check()
    if tools and not backend.takes_tools:
        name = type(backend.chain[0]).__name__
        raise FishjamAgentsError(
            f"{name} calls no tools, but {type(bot).__name__} offers some ({tools}): "
            "use a backend that does, or offer none"
        )


def _verify_enrich(name: str, bot: Bot, backend: Backend) -> None:
    why = None
    if bot.turns.mode == "backend":
        why = "turns.mode is 'backend', where the model answers before anybody is asked: use 'local'"
    elif not backend.capabilities.text:
        why = f"{type(backend).__name__} takes no text: use a backend that does"
    elif bot.hearing.mode == "per_peer" and not backend.capabilities.enriches:
        why = "with hearing 'per_peer' only a cascade asks for it: use 'active_speaker'"
    if why is not None:
        raise FishjamAgentsError(f"{name}.enrich adds text to turns, but {why}, or leave it out")


def _verify_vision(bot: Bot, backend: Backend) -> None:
    capture = bot.vision.capture
    if not backend.capabilities.images and (capture != "demand" or look in bot.tools):
        what = f"vision.capture is {capture!r}" if capture != "demand" else "the tool look is offered"
        name = type(backend.chain[0]).__name__
        raise FishjamAgentsError(
            f"{what}, but {name} takes no images: use a backend that does, or leave it out"
        )
    if capture == "change":
        need_pillow()
