"""Output of `check`: the pipeline as it will be built, with every format and conversion."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from fishjam_agents.audio.detectors import DETECTORS
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.second_opinion import NETWORKS
from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.backends.key_file import parts_of
from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.remote import RemoteBackend
from fishjam_agents.config.components import describe_components
from fishjam_agents.config.problems import alternatives
from fishjam_agents.config.settings import Config
from fishjam_agents.fishjam.options import audio_sample_rate
from fishjam_agents.hearing.settings import EchoName, HearingSettings
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.pipeline.agent import SECTIONS, AgentPipeline
from fishjam_agents.pipeline.hooks import overrides
from fishjam_agents.pipeline.idle import IdleSettings
from fishjam_agents.pipeline.own_words import Instructions, OwnWords
from fishjam_agents.pipeline.turn_taking.push_to_talk import BUTTON
from fishjam_agents.playout.settings import BackgroundAudioSettings
from fishjam_agents.secrecy import shown_url
from fishjam_agents.session import FISHJAM
from fishjam_agents.tools.collect import collect
from fishjam_agents.tools.schema import summary
from fishjam_agents.tools.tool import Tool
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.vision.settings import VisionSettings
from fishjam_agents.worker.room_rules import RoomRule

_VAD_RATE = 16000
_ARROW = " -> "
_DESCRIBED = frozenset({"turns", "playout", "hearing", "vision", "background_audio", "idle"})
"""Sections that `describe` has words for; of others it shows the settings that are no defaults."""
_BESIDE = "Fishjam connects the model itself: no audio passes through this process"


def describe(config: Config, pipeline: AgentPipeline) -> list[str]:
    """The resolved pipeline, one `name  value` line for each of its parts. No secrets.

    Below the line of a job of a cascade are those of the components that stand in.

    Args:
        config: The file.
        pipeline: A pipeline made by its factory.
    """
    parts = {
        "fishjam": _fishjam(config),
        "room": _room(config),
        "bot": config.agent.pipeline or "the built-in AgentPipeline",
        "hears": _ARROW.join(_input(pipeline)),
        "speaks": _ARROW.join(_output(pipeline)),
        **describe_components(pipeline.backend),
        "vad": _vad(pipeline),
        "turns": _turns(pipeline),
        **_turn_model(pipeline),
        "barge-in": _barge_in(pipeline),
        "hearing": _hearing(pipeline.hearing),
        "limits": _limits(config),
        "log": f"{config.log.level}, to {config.log.file or 'standard error'}",
    }
    if vendors := _vendors(config, pipeline):
        parts["vendors"] = vendors
    if isinstance(pipeline.backend, Fallback):
        parts["backends"] = _stand_ins(pipeline.backend)
    if pipeline.tool_payloads:
        parts["payloads"] = "arguments and results of tools are in events, as the bot's redact leaves them"
    if config.journal is not None:
        parts["journal"] = _journal(config.journal)
    if config.observe.record is not None:
        parts["record"] = f"what voice detection decides, of every call, to {config.observe.record.folder}"
    if overrides(pipeline, "redact"):
        parts["redact"] = _redacted(config)
    if config.observe.recording is not None:
        recording = config.observe.recording
        parts["recording"] = f"sound ({recording.format}) and words of every call, to {recording.folder}"
    if pipeline.backend.capabilities.images:
        parts["sees"] = _vision(pipeline.vision)
    tools = [_tool(tool) for tool in collect(pipeline, pipeline.tools)]
    tools += [f"those of MCP server {server.label}" for server in pipeline.mcp]
    if tools:
        parts["tools"] = "; ".join(tools)
    if pipeline.handoffs:
        own = config.agent_key.rpartition(".")[2]
        parts["handoffs"] = f"to {', '.join(name for name in pipeline.handoffs if name != own)}"
    if pipeline.greeting is not None:
        parts["greeting"] = _greeting(pipeline.greeting, pipeline.backend)
    if sounds := _sounds(pipeline.background_audio):
        parts["sounds"] = sounds
    if pipeline.idle.after is not None:
        parts["idle"] = _idle(pipeline.idle)
    for name in SECTIONS:
        if name not in _DESCRIBED and (changes := _changes(pipeline, name)):
            parts[name] = ", ".join(changes)
    missing = _without_words(pipeline)
    if missing is not None:
        parts["note"] = missing
    return [line for name, value in parts.items() for line in f"{name:<9} {value}".splitlines()]


def _greeting(greeting: OwnWords | Instructions, backend: Backend) -> str:
    if isinstance(greeting, Instructions):
        return f"the model's own words: {greeting.text!r}"
    if isinstance(greeting, str):
        return repr(greeting)
    return f"{len(greeting) / (backend.capabilities.output_rate or 24000):.1f} s"


def describe_rooms(config: Config) -> list[str]:
    """Rooms and bots of a file about many rooms, one `name  value` line for each part."""
    workers = config.workers
    limits = [
        f"{name} {value:g}"
        for name in ("max_calls", "max_loop_lag", "max_cpu", "drain")
        if (value := getattr(workers, name)) is not None
    ]
    processes = "1 process" if workers.processes == 1 else f"{workers.processes} processes"
    parts = [("fishjam", _fishjam(config))]
    parts += [("rooms", f"{_rule(rule)}: {rule.bot}") for rule in config.rooms]
    shard = workers.shard
    share = [] if shard is None else [f"shard {shard.number} of {shard.count} (they begin with 0)"]
    parts.append(("workers", ", ".join([processes, *share, *limits])))
    if config.api is not None:
        parts.append(("api", f"http://{config.api.host}:{config.api.port}"))
    if config.journal is not None:
        parts.append(("journal", _journal(config.journal)))
    if config.ray is not None:
        ray = config.ray
        replicas = f"{ray.min_replicas} to {ray.max_replicas} replicas of {ray.target} calls"
        parts.append(("ray", f"{replicas}, {ray.cpus:g} cores each, drain {ray.drain:g}"))
    return [f"{name:<9} {value}" for name, value in parts]


def _redacted(config: Config) -> str:
    kept = []
    if config.observe.record is not None and not config.observe.record.redact:
        kept.append("observe.record (redact: false)")
    if config.journal is not None:
        kept.append(
            "the journal"
            + (" (without journal.key it is not encrypted)" if config.journal.key is None else "")
        )
    return "words that leave a call" + (f", except in {' and '.join(kept)}" if kept else "")


def _journal(journal: JournalSettings) -> str:
    encrypted = "" if journal.key is None else ", encrypted"
    where = "" if journal.url is None else f"in {shown_url(journal.url)}, "
    kept = f"{where}kept for {journal.keep / 86400:g} days, calls go on within {journal.resume:g} s"
    return f"{kept}{encrypted}"


def _rule(rule: RoomRule) -> str:
    if rule.create is not None:
        return (
            "1 room that is made for it" if rule.create == 1 else f"{rule.create} rooms that are made for it"
        )
    shown = [f"id {alternatives(rule.id)}"] if rule.id else []
    shown += [f"type {rule.type}"] if rule.type else []
    shown += [f"a person with {', '.join(f'{key}: {value}' for key, value in rule.peer.items())}"] * bool(
        rule.peer
    )
    return ", ".join(shown) or "every room"


def _room(config: Config) -> str:
    if config.is_multi_room:
        return "as the rules say, with the first person"
    return config.room.id or "a new one, deleted at the end"


def _sounds(settings: BackgroundAudioSettings) -> str:
    background, thinking = settings.ambient, settings.thinking
    shown = []
    if background is not None:
        shown.append(
            f"{background.wav.name} at {background.level:g} dBFS, {background.duck:g} dB less under words"
        )
    if thinking is not None:
        shown.append(
            f"{thinking.wav.name} at {thinking.level:g} dBFS after {thinking.after:g} s without an answer"
        )
    return "; ".join(shown)


def _idle(settings: IdleSettings) -> str:
    shown = [f"idle after {settings.after:g} s"]
    if settings.prompt is not None:
        shown.append(f"asked {settings.prompts} x")
    if settings.ends:
        shown.append("the call ends" if settings.goodbye is None else "the call ends with a goodbye")
    return ", then ".join(shown)


def _tool(tool: Tool) -> str:
    """A tool as its model sees it: `get_weather(city: string, days?: integer)`."""
    declaration = tool.declaration
    background = "" if declaration.blocking else ", in the background"
    return f"{tool.name}({summary(declaration.parameters)}){background}"


def _vad(pipeline: AgentPipeline) -> str:
    name, second = pipeline.hearing.vad, pipeline.hearing.second_opinion
    asked = "" if second is None else f"; second opinion {second}: {NETWORKS[second].description}"
    return f"{name}: {DETECTORS[name].description}; preset {pipeline.turns.preset}{asked}"


def _vision(settings: VisionSettings) -> str:
    if settings.capture == "demand":
        return "cameras on demand"
    changed = ", if it changed" if settings.capture == "change" else ""
    return f"tracks of type {' or '.join(settings.tracks) or 'none'}, every {settings.every:g} s{changed}"


def _fishjam(config: Config) -> str:
    settings = config.fishjam
    if settings.id != "local":
        return settings.id
    port = f"port {settings.port}" if settings.port else "any free port"
    return f"local: an embedded server on {settings.host}, {port}"


def _backend_name(pipeline: AgentPipeline) -> str:
    return type(pipeline.backend.chain[0]).__name__.lower()


def _vendors(config: Config, pipeline: AgentPipeline) -> str:
    """The accounts that have limits."""
    shown = {
        f"{part.endpoint}: {part.limits}": None
        for part in parts_of(pipeline.backend)
        if part.endpoint is not None and str(part.limits)
    }
    processes = config.workers.processes
    each = f" (in each of {processes} processes)" if shown and processes > 1 else ""
    return "; ".join(shown) + each


def _stand_ins(backend: Fallback) -> str:
    """The chain: `gemini, then wav (whole turns; no tools, text), after 2 failures in a row; ...`."""
    first = backend.capabilities
    shown = []
    for one, name in zip(backend.backends, backend.names, strict=True):
        own = one.capabilities
        notes = [
            f"{what} through a resampler {rates[0]} to {rates[1]} Hz"
            for what, rates in (
                ("hears", (first.input_rate, own.input_rate)),
                ("speaks", (own.output_rate, first.output_rate)),
            )
            if all(rates) and rates[0] != rates[1]
        ]
        if own.wants_turn_audio != first.wants_turn_audio:
            notes.append("whole turns" if own.wants_turn_audio else "turns at their end")
        lacking = [
            what
            for what in ("tools", "images", "text", "verbatim_say")
            if getattr(first, what) and not getattr(own, what)
        ]
        if lacking:
            notes.append(f"no {', '.join(lacking).replace('verbatim_say', 'say')}")
        shown.append(name.lower() + (f" ({'; '.join(notes)})" if notes else ""))
    failures = "1 failure" if backend.attempts == 1 else f"{backend.attempts} failures in a row"
    back = "not tried again" if backend.recovery is None else f"tried again after {backend.recovery:g} s"
    return f"{', then '.join(shown)}; left after {failures}, {back}"


def _input(pipeline: AgentPipeline) -> list[str]:
    if isinstance(pipeline.backend, RemoteBackend):
        return [_BESIDE]
    capabilities = pipeline.backend.capabilities
    rate = audio_sample_rate(capabilities.input_rate)
    steps = [f"room {AudioFormat(rate)}"]
    steps += [f"stage {type(stage).__name__}" for stage in pipeline.input_stages]
    detection = f"voice detection {_VAD_RATE} Hz"
    steps.append(detection if rate == _VAD_RATE else f"{detection} (through a resampler of its own)")
    name = _backend_name(pipeline)
    if not capabilities.input_rate:
        return [*steps, f"{name}, which takes no audio"]
    if rate != capabilities.input_rate:
        steps.append(f"resampler {rate} to {capabilities.input_rate} Hz")
    whole = ", whole turns" if capabilities.wants_turn_audio else ""
    if capabilities.wants_suspected:
        whole += ", words while they are spoken"
    elif capabilities.wants_pauses:
        whole += ", answers begun at pauses"
    return [*steps, f"{name} {capabilities.input_rate} Hz{whole}"]


def _output(pipeline: AgentPipeline) -> list[str]:
    if isinstance(pipeline.backend, RemoteBackend):
        return [_BESIDE]
    capabilities = pipeline.backend.capabilities
    rate = pipeline.playout.sample_rate or FISHJAM.track_rate(capabilities.output_rate)
    track = [f"track {rate} Hz", "Fishjam"]
    name = _backend_name(pipeline)
    if not capabilities.output_rate:
        return [f"{name}, which gives no audio", *track]
    source = f"{name} {capabilities.output_rate} Hz"
    if capabilities.output_rate == rate:
        return [source, *track]
    return [source, f"resampler {capabilities.output_rate} to {rate} Hz", *track]


_SHOWN_APART = ("mode", "preset", "end_silence", "end_of_turn", "barge_in")


def _turns(pipeline: AgentPipeline) -> str:
    settings = pipeline.turns
    if settings.mode == "push_to_talk":
        return f'mode push_to_talk, pressed while the metadata of a peer say {{"{BUTTON}": true}}'
    shown = [f"mode {settings.mode}", f"end_of_turn {settings.ending}"]
    return ", ".join(shown + _changes(pipeline, "turns", _SHOWN_APART))


def _turn_model(pipeline: AgentPipeline) -> dict[str, str]:
    """Return what the policy that ends turns hears them with; it is loaded to see that it can be."""
    turns = pipeline.turns
    if not turns.ending.hears:
        return {}
    if not turns.hears:
        return {"model": f"not asked: turns.mode {turns.mode} ends turns without the policy"}
    loaded = turns.ending.load()
    return {} if loaded is None else {"model": loaded}


def _changes(pipeline: AgentPipeline, section: str, apart: Collection[str] = ()) -> list[str]:
    """The settings of a section that are no defaults."""
    settings, base = getattr(pipeline, section), getattr(AgentPipeline, section)
    return [
        f"{item.name} {getattr(settings, item.name)}"
        for item in fields(settings)
        if item.name not in apart and getattr(settings, item.name) != getattr(base, item.name)
    ]


def _barge_in(pipeline: AgentPipeline) -> str:
    barge_in = pipeline.turns.barge_in
    return str(barge_in) if isinstance(barge_in, BargeIn) else ", ".join(map(str, barge_in))


def _without_words(pipeline: AgentPipeline) -> str | None:
    """Return the settings that wait for words that nobody understands."""
    turns, capabilities = pipeline.turns, pipeline.backend.capabilities
    wanting = []
    unheard = not capabilities.hears_over_replies(turns.mode)
    if unheard and any(policy.needs_words for policy in turns.policies):
        wanting.append("turns.barge_in")
    if turns.ending.needs_words and not (capabilities.transcripts or capabilities.pause_transcripts):
        wanting.append("turns.end_of_turn")
    if not wanting:
        return None
    held = " (with turns.mode local it hears nobody while the bot speaks)" if capabilities.transcripts else ""
    return (
        f"{' and '.join(wanting)} judge{'s' if len(wanting) == 1 else ''} words, "
        f"and {_backend_name(pipeline)} gives none in time{held}: "
        "without the bot's own understood(), sound alone decides"
    )


_ECHO: dict[EchoName, str] = {
    "guard": "echo guard on",
    "aec3": "echo cancelled by WebRTC's AEC3, echo guard on",
    "none": "echo guard off",
}


def _hearing(settings: HearingSettings) -> str:
    agents = "other agents too" if settings.agents else "no other agents"
    tracks = f"tracks of type {' or '.join(settings.tracks) or 'none'}"
    near = ["only the near voice of a microphone"] if settings.near_voice else []
    return ", ".join([settings.mode, *_mode(settings), agents, tracks, *near, _ECHO[settings.echo]])


def _mode(settings: HearingSettings) -> list[str]:
    """Return the consequences of the mode that are not in its name."""
    notes = ["the model is told who speaks"] if settings.speaker_notes else []
    if settings.mode == "mix":
        return ["all voices in one sum", "anybody interrupts", *notes]
    if settings.mode == "per_peer":
        whose = "the one it answers" if settings.interrupts == "addressee" else "anybody"
        return [
            f"at most {settings.max_sessions} sessions of the backend",
            f"a reply is interrupted by {whose}",
        ]
    return ["anybody interrupts", *notes]


def _limits(config: Config) -> str:
    limits = config.limits
    shown = [
        f"{name} {value:g} s"
        for name, value in (("max_call", limits.max_call), ("empty_room", limits.empty_room))
        if value is not None
    ]
    return ", ".join([*shown, f"a lost server is given up after {limits.reconnect:g} s"])
