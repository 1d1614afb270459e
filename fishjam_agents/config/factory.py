"""The pipeline a file asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.backends.tracebacks import of_a_user
from fishjam_agents.config.imports import describe_error, folder_of, import_named
from fishjam_agents.config.problems import alternatives, nearest
from fishjam_agents.config.settings import Config, GreetingSettings
from fishjam_agents.errors import AudioError, ConfigError, FishjamAgentsError, MissingExtraError
from fishjam_agents.observe.recording import SoundRecorder
from fishjam_agents.observe.replay.writer import CallRecorder
from fishjam_agents.observe.settings import ObserveSettings
from fishjam_agents.pipeline.agent import SECTIONS, AgentPipeline
from fishjam_agents.pipeline.own_words import Instructions
from fishjam_agents.secrecy import conceal
from fishjam_agents.tools.builtin import BUILTIN
from fishjam_agents.tools.collect import collect

OWN_WORDS = ("greeting", "apology", "farewell")
"""Keys of what a bot says by itself."""


def pipeline_factory(config: Config) -> Callable[[], AgentPipeline]:
    """Return the factory of the pipelines of a file, one for each room.

    `agent.pipeline` is imported with the file's folder and the current one on `sys.path`. Settings of the
    class stay where the file says nothing.

    Returns:
        A function that makes one, its parts checked. It raises ConfigError where they do not fit.

    Raises:
        ConfigError: The class cannot be imported or is no pipeline.
    """
    with _concealing(config):
        make = _factory(config)

    def concealed() -> AgentPipeline:
        with _concealing(config):
            return make()

    return concealed


@contextmanager
def _concealing(config: Config) -> Iterator[None]:
    """Keep the values of variables out of what is raised."""
    try:
        yield
    except MissingExtraError:
        raise
    except ConfigError as error:
        shown = conceal(str(error), config.hidden)
        if shown == str(error):
            raise
        raise ConfigError(shown) from error.__cause__


def _factory(config: Config, of: AgentPipeline | None = None) -> Callable[[], AgentPipeline]:
    """Return what makes the bot of a file, or one that takes over from the bot `of`."""
    if config.bots:
        raise ConfigError(
            f"{config.where('bots')}: the file has several bots ({alternatives(config.bots)}), and this is "
            "about one: name a file with agent"
        )
    name = config.agent.pipeline
    kind = AgentPipeline if name is None else _import(config, name)
    functions = _functions(config)
    for server in config.agent.mcp:
        try:
            server.check()
        except ConfigError as error:
            raise ConfigError(f"{config.where(config.key('mcp'))}: {config.key('mcp')}: {error}") from error

    def make() -> AgentPipeline:
        pipeline = kind() if name is None else _instance(config, name, kind)
        pipeline.tools = (*pipeline.tools, *functions)
        pipeline.mcp = (*pipeline.mcp, *config.agent.mcp)
        if of is not None and config.agent.backend is None and getattr(pipeline, "backend", None) is None:
            pipeline.backend = of.backend
        try:
            collect(pipeline, pipeline.tools)
        except ConfigError as error:
            raise ConfigError(
                f"{config.where(config.key('tools'))}: {config.key('tools')}: {error}"
            ) from error
        try:
            _apply(config, pipeline)
        except FishjamAgentsError:
            raise
        except Exception as error:
            if name is None or not of_a_user(error):
                raise
            where = f"{config.where(config.key('pipeline'))}: {config.key('pipeline')}"
            raise ConfigError(f"{where}: {name} cannot be checked: {describe_error(error)}") from error
        return pipeline

    return make


def _instance(config: Config, name: str, kind: type[AgentPipeline]) -> AgentPipeline:
    where = f"{config.where(config.key('pipeline'))}: {config.key('pipeline')}"
    try:
        pipeline = kind()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: {name} cannot be made: {describe_error(error, __file__)}") from error
    if not hasattr(pipeline, "observers"):
        raise ConfigError(f"{where}: {name} is half made: call super().__init__() in its __init__")
    return pipeline


def _import(config: Config, name: str) -> type[AgentPipeline]:
    where = f"{config.where(config.key('pipeline'))}: {config.key('pipeline')}"
    module_name, _, class_name = name.partition(":")
    module, kind = import_named(where, folder_of(config, config.key("pipeline")), name)
    if kind is None:
        offered = [key for key, value in vars(module).items() if _is_pipeline(value)]
        advice = nearest(class_name, offered) if offered else "define it as a subclass of AgentPipeline"
        raise ConfigError(f"{where}: {module_name} has no class {class_name}: {advice}")
    if not (isinstance(kind, type) and issubclass(kind, AgentPipeline)):
        raise ConfigError(f"{where}: {name} is not a pipeline: make it a class that subclasses AgentPipeline")
    return kind


def _functions(config: Config) -> Sequence[Callable[..., Any]]:
    """The functions and tools of ours that `agent.tools` names."""
    functions = []
    for name in config.agent.tools:
        where = f"{config.where(config.key('tools'))}: {config.key('tools')}"
        function = BUILTIN.get(name)
        if function is None:
            module, function = import_named(where, folder_of(config, config.key("tools")), name)
            if not callable(function):
                offered = [key for key, value in vars(module).items() if inspect.isfunction(value)]
                advice = nearest(name.partition(":")[2], offered) if offered else "define it there with `def`"
                raise ConfigError(
                    f"{where}: {module.__name__} has no function {name.partition(':')[2]}: {advice}"
                )
        try:
            collect(None, [function])
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        functions.append(function)
    return functions


def _is_pipeline(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, AgentPipeline) and value is not AgentPipeline


def _apply(config: Config, pipeline: AgentPipeline) -> None:
    agent = config.agent
    if config.observe.record is not None:
        record = config.observe.record
        pipeline.recorder = CallRecorder(record.folder, redact=record.redact)
    if config.observe.recording is not None:
        recording = config.observe.recording
        pipeline.sound_recorder = SoundRecorder(recording.folder, recording.format)
    if config.observe.tool_payloads:
        pipeline.tool_payloads = True
    if agent.backend is not None:
        pipeline.backend = agent.backend
    if agent.instructions is not None:
        pipeline.instructions = agent.instructions
    if agent.handoffs:
        pipeline.handoffs = {**pipeline.handoffs, **_handoffs(config, pipeline)}
    try:
        for name, given in agent.sections.items():
            setattr(pipeline, name, given.over(getattr(pipeline, name)))
    except ValueError as error:
        raise ConfigError(
            f"{config.where(config.agent_key)}: {error} (with what {agent.pipeline} sets)"
        ) from error
    own_words = {name: given for name in OWN_WORDS if (given := getattr(agent, name)) is not None}
    for name, given in own_words.items():
        if given.text is not None:
            setattr(pipeline, name, given.text)
        elif isinstance(given, GreetingSettings) and given.instructions is not None:
            pipeline.greeting = Instructions(given.instructions)
    try:
        pipeline.verify()
    except MissingExtraError:
        raise
    except FishjamAgentsError as error:
        setting = error.setting if isinstance(error, ConfigError) else ""
        # A part of a cascade has settings of its own: `whisper.model` is none of the bot's.
        if setting and hasattr(pipeline, setting.partition(".")[0]):
            raise ConfigError(f"{config.where(config.key(setting))}: {config.agent_key}.{error}") from error
        raise ConfigError(f"{config.where(config.key('backend'))}: {error}") from error
    for name, given in own_words.items():
        if given.wav is not None:
            setattr(pipeline, name, _sound(config, pipeline, config.key(f"{name}.wav"), given.wav))
    for key, wav in _recordings(pipeline):
        _sound(config, pipeline, config.key(key), wav)


def _handoffs(config: Config, pipeline: AgentPipeline) -> Mapping[str, Callable[[], AgentPipeline]]:
    """What makes each of the bots that a call may be handed over to, from one to the other and back."""
    names = {name: replace(config, agent=settings) for name, settings in config.agent.handoffs.items()}
    name = config.agent_key.rpartition(".")[2]
    names.setdefault(name, replace(config, agent=replace(config.agent, handoffs={})))
    made: dict[str, Callable[[], AgentPipeline]] = {}
    for name, own in names.items():
        key = f"{config.agent_key}.handoffs.{name}" if name in config.agent.handoffs else config.agent_key
        plain = ObserveSettings(tool_payloads=config.observe.tool_payloads)
        made[name] = _factory(replace(own, agent_key=key, observe=plain), pipeline)
    return made


def _recordings(pipeline: AgentPipeline) -> Iterator[tuple[str, Path]]:
    """The recordings that settings of the pipeline name, by their keys below those of the bot."""
    for section in SECTIONS:
        settings = getattr(pipeline, section)
        for item in fields(settings):
            wav = getattr(getattr(settings, item.name), "wav", None)
            if isinstance(wav, (str, Path)):
                yield f"{section}.{item.name}.wav", Path(wav)


def _sound(config: Config, pipeline: AgentPipeline, key: str, wav: Path) -> Samples:
    """A recording at the rate of the bot's voice; that it can be played is known before any call."""
    if not wav.is_file():
        raise ConfigError(f"{config.where(key)}: {key}: there is no file {wav}: check the path")
    try:
        return load_speech(wav, pipeline.backend.capabilities.output_rate or 24000)
    except AudioError as error:
        raise ConfigError(f"{config.where(key)}: {error}") from error
