"""The pipeline a file asks for."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.config.problems import nearest
from fishjam_agents.config.settings import Config
from fishjam_agents.errors import AudioError, ConfigError, FishjamAgentsError
from fishjam_agents.observe.replay.writer import CallRecorder
from fishjam_agents.pipeline.agent import AgentPipeline


def pipeline_factory(config: Config) -> Callable[[], AgentPipeline]:
    """What makes the pipelines of a file, one for each room.

    `agent.pipeline` is imported with the file's folder and the current one on `sys.path`. Settings of the
    class stay where the file says nothing.

    Returns:
        A function that makes one, its parts checked. It raises ConfigError where they do not fit.

    Raises:
        ConfigError: The class cannot be imported or is no pipeline.
    """
    name = config.agent.pipeline
    kind = AgentPipeline if name is None else _import(config, name)

    def make() -> AgentPipeline:
        pipeline = kind() if name is None else _instance(config, name, kind)
        _apply(config, pipeline)
        return pipeline

    return make


def _instance(config: Config, name: str, kind: type[AgentPipeline]) -> AgentPipeline:
    where = f"{config.where('agent.pipeline')}: agent.pipeline"
    try:
        pipeline = kind()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: {name} cannot be made: {_told(error)}") from error
    if not hasattr(pipeline, "observers"):
        raise ConfigError(f"{where}: {name} is half made: call super().__init__() in its __init__")
    return pipeline


def _import(config: Config, name: str) -> type[AgentPipeline]:
    where = f"{config.where('agent.pipeline')}: agent.pipeline"
    module_name, _, class_name = name.partition(":")
    # A scenario may name a class of its own: then it is beside the scenario.
    place = config.lines.get("agent.pipeline")
    folder = Path(config.source if place is None else place.source).resolve().parent
    for entry in (str(Path.cwd()), str(folder)):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{where}: there is no module {module_name} in {folder} or installed: check the name"
            ) from error
        raise ConfigError(f"{where}: importing {module_name} failed: {_told(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: importing {module_name} failed: {_told(error)}") from error
    kind = getattr(module, class_name, None)
    if kind is None:
        offered = [key for key, value in vars(module).items() if _is_pipeline(value)]
        advice = nearest(class_name, offered) if offered else "define it as a subclass of AgentPipeline"
        raise ConfigError(f"{where}: {module_name} has no class {class_name}: {advice}")
    if not (isinstance(kind, type) and issubclass(kind, AgentPipeline)):
        raise ConfigError(f"{where}: {name} is not a pipeline: make it a class that subclasses AgentPipeline")
    return kind


def _is_pipeline(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, AgentPipeline) and value is not AgentPipeline


def _told(error: BaseException) -> str:
    """An error of the user's module with the line it came from."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    last = traceback.extract_tb(error.__traceback__)[-1]
    # A class that wants arguments fails in the line that makes it, which is ours.
    return what if last.filename == __file__ else f"{last.filename}:{last.lineno}: {what}"


def _apply(config: Config, pipeline: AgentPipeline) -> None:
    agent = config.agent
    if config.observe.record is not None:
        pipeline.recorder = CallRecorder(config.observe.record)
    if agent.backend is not None:
        pipeline.backend = agent.backend
    if agent.instructions is not None:
        pipeline.instructions = agent.instructions
    try:
        if agent.turns is not None:
            pipeline.turns = agent.turns.over(pipeline.turns)
        if agent.playout is not None:
            pipeline.playout = agent.playout.over(pipeline.playout)
        if agent.hearing is not None:
            pipeline.hearing = agent.hearing.over(pipeline.hearing)
    except ValueError as error:
        raise ConfigError(f"{config.where('agent')}: {error} (with what {agent.pipeline} sets)") from error
    try:
        pipeline.verify()
    except ConfigError:
        raise
    except FishjamAgentsError as error:
        raise ConfigError(f"{config.where('agent.backend')}: {error}") from error
    if agent.greeting is not None:
        try:
            pipeline.greeting = load_speech(
                agent.greeting.wav, pipeline.backend.capabilities.output_rate or 24000
            )
        except AudioError as error:
            raise ConfigError(f"{config.where('agent.greeting.wav')}: {error}") from error
