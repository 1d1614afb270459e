"""How many files a typical change touches: each is applied to a copy of the tree, run there, and counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Change:
    """A change that a newcomer makes.

    Attributes:
        new: Files it adds, by their paths.
        edits: Files it edits: the text to find and what stands there afterwards.
        imports: An import that an edited file needs, too.
        shows: A program that shows that it works; prints `works`.
    """

    shows: str
    new: Mapping[str, str] = field(default_factory=dict)
    edits: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    imports: Mapping[str, str] = field(default_factory=dict)

    def apply(self, folder: Path) -> None:
        for name, text in self.new.items():
            path = folder / name
            assert not path.exists(), name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name, (old, new) in self.edits.items():
            path = folder / name
            text = path.read_text()
            assert text.count(old) == 1, f"{name}: {old!r} stands there {text.count(old)} times"
            text = text.replace(old, new)
            if name in self.imports:
                future = "from __future__ import annotations\n"
                text = text.replace(future, f"{future}\n{self.imports[name]}\n")
            path.write_text(text)


CHECK = """
import contextlib, io, pathlib, tempfile
from fishjam_agents.config import load_config, pipeline_factory, describe
def config(text):
    path = pathlib.Path(tempfile.mkdtemp()) / "config.yaml"
    path.write_text(text)
    return load_config(path, {})
"""

CHANGES: dict[str, tuple[int, int, Change]] = {}
"""By name: how many files it may add, how many lines elsewhere it may add, and the change."""

CHANGES["a voice detector"] = (
    1,
    1,
    Change(
        new={
            "fishjam_agents/audio/vad_always.py": (
                "from fishjam_agents.audio.vad_plain import Energy\n\n\nclass Always(Energy):\n"
                "    def score(self, frame, level):\n        return 1.0\n"
            )
        },
        edits={
            "fishjam_agents/audio/detectors.py": (
                "DETECTORS: dict[str, DetectorKind] = {\n",
                "DETECTORS: dict[str, DetectorKind] = {\n"
                '    "always": DetectorKind("vad_always:Always", "everything is speech"),\n',
            )
        },
        shows=CHECK + "import numpy as np\n"
        "from fishjam_agents.audio.detectors import make_detector\n"
        "config('agent: {backend: {type: parrot}, hearing: {vad: always}}')\n"
        "assert make_detector('always').feed(np.zeros(320, np.int16), False).score > 0\n",
    ),
)

CHANGES["an end-of-turn policy"] = (
    0,
    12,
    Change(
        edits={
            "fishjam_agents/turns/endpointing.py": (
                "EndOfTurn.types.update(\n",
                "@dataclass(frozen=True, slots=True)\nclass Eager(EndOfTurn):\n"
                "    def silence(self, pause: Pause) -> float:\n        return 0.3\n\n"
                '    def __str__(self) -> str:\n        return "eager"\n\n\n'
                "EndOfTurn.types.update(\n    eager=Eager,\n",
            )
        },
        shows=CHECK + "made = config('agent: {backend: {type: parrot}, turns: {end_of_turn: eager}}')\n"
        "shown = describe(made, pipeline_factory(made)())\n"
        "assert any('eager' in line for line in shown), shown\n",
    ),
)

CHANGES["a metric of the report"] = (
    0,
    6,
    Change(
        edits={
            "fishjam_agents/observe/report/latency.py": (
                "METRICS = (\n",
                "def _verdicts(call: Call) -> list[float]:\n"
                "    return [v for b in call.barge_ins if (v := verdict(b)) is not None]\n\n\n"
                'METRICS = (\n    Metric("Verdict time", "verdict", _verdicts, 0.5, _none),\n',
            )
        },
        shows="""
from fishjam_agents.observe.report.latency import METRICS
assert METRICS[0].title == "Verdict time"
""",
    ),
)

CHANGES["a field of a section"] = (
    0,
    1,
    Change(
        edits={
            "fishjam_agents/turns/settings.py": (
                "    pre_roll: Seconds = ",
                "    patience: Seconds = 1.5\n    pre_roll: Seconds = ",
            )
        },
        shows=CHECK + "made = config('agent: {backend: {type: parrot}, turns: {patience: 2.5}}')\n"
        "assert pipeline_factory(made)().turns.patience == 2.5\n",
    ),
)

CHANGES["a backend"] = (
    3,
    0,
    Change(
        new={
            "fishjam_agents_shout/__init__.py": (
                "from dataclasses import dataclass\n"
                "from fishjam_agents.backends.parrot import Parrot\n\n\n"
                "@dataclass(frozen=True)\nclass Shout(Parrot):\n    loud: bool = True\n"
            ),
            "fishjam_agents_shout-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: x-shout\nVersion: 1\n",
            "fishjam_agents_shout-1.dist-info/entry_points.txt": (
                "[fishjam_agents.backends]\nshout = fishjam_agents_shout:Shout\n"
            ),
        },
        shows=CHECK + "made = config('agent: {backend: {type: shout, loud: no}}')\n"
        "assert not pipeline_factory(made)().backend.loud\n",
    ),
)


CHANGES["an event"] = (
    0,
    12,
    Change(
        edits={
            "fishjam_agents/events.py": (
                "@dataclass(frozen=True, slots=True)\nclass PeerLeft(Event):\n",
                "@dataclass(frozen=True, slots=True)\nclass PeerWaved(Event):\n"
                '    """A peer waved."""\n\n    kind = "peer_waved"\n    peer: str\n\n'
                "    def sentence(self, *, words: bool = False) -> str:\n"
                '        return f"{self.peer} waved"\n\n\n'
                "@dataclass(frozen=True, slots=True)\nclass PeerLeft(Event):\n",
            )
        },
        shows="""
import logging
from fishjam_agents import events
from fishjam_agents.observe import EventLog, Timeline
from fishjam_agents.testing.time_spec import Reference
event = events.PeerWaved(1.0, "ann")
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logger = logging.getLogger("fishjam_agents.call")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
EventLog("c", "r")(event)
assert lines == ["ann waved"], lines
timeline = Timeline()
timeline(event)
assert timeline.kinds == ["peer_waved"], timeline.kinds
Reference.parse("peer_waved")
""",
    ),
)

CHANGES["a section of an agent"] = (
    1,
    2,
    Change(
        new={
            "fishjam_agents/pipeline/mood.py": (
                "from dataclasses import dataclass\n\n\n@dataclass(frozen=True, slots=True)\n"
                "class MoodSettings:\n    cheerful: bool = True\n"
            )
        },
        edits={
            "fishjam_agents/pipeline/agent.py": (
                "    vision: VisionSettings = VisionSettings()\n",
                "    vision: VisionSettings = VisionSettings()\n    mood: MoodSettings = MoodSettings()\n",
            )
        },
        imports={"fishjam_agents/pipeline/agent.py": "from fishjam_agents.pipeline.mood import MoodSettings"},
        shows=CHECK + "made = config('agent: {backend: {type: parrot}, mood: {cheerful: no}}')\n"
        "assert not pipeline_factory(made)().mood.cheerful\n",
    ),
)

CHANGES["a REST endpoint"] = (
    1,
    1,
    Change(
        new={
            "fishjam_agents/server/rest/ping.py": (
                "from starlette.responses import JSONResponse\n\nfrom .resource import Resource\n\n\n"
                "class PingApi(Resource):\n    def routes(self):\n"
                "        return {'/ping': {'GET': self._ping}}\n\n"
                "    async def _ping(self, request):\n        return JSONResponse({'pong': True})\n"
            )
        },
        edits={
            "fishjam_agents/server/rest/resources.py": (
                "RESOURCES = (\n",
                'RESOURCES = (\n    "ping:PingApi",\n',
            )
        },
        shows="""
import asyncio, httpx
from fishjam_agents.server import EmbeddedServer
async def main():
    async with EmbeddedServer() as server, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(server.url + "/ping", headers={"authorization": "Bearer " + server.token})
        assert answer.json() == {"pong": True}, answer.text
        assert (await http.get(server.url + "/ping")).status_code == 401
asyncio.run(main())
""",
    ),
)

CHANGES["a media server"] = (
    1,
    0,
    Change(
        new={
            "elsewhere/__init__.py": '''
import asyncio

class Estimate:
    """Everything is heard at once."""
    def __init__(self): self.total, self.end = 0, 0.0
    def send(self, now, samples): self.total += samples; self.end = now
    def played(self, now): return self.total
    def interrupt(self, now): return self.total

class Track:
    id = "bot"
    def __init__(self): self.sent = 0
    async def send_chunk(self, data): self.sent += len(data)
    async def interrupt(self): pass
    def playout_estimate(self): return Estimate()

class Session:
    def __init__(self): self.track = Track()
    async def receive(self):
        await asyncio.sleep(60)
        yield None
    async def add_track(self, options): return self.track
    async def capture_image(self, track_id): pass
'''
        },
        shows="""
import asyncio, numpy as np
from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from elsewhere import Session
heard = []
class Bot(AgentPipeline):
    backend = Parrot()
    async def on_peer_joined(self, peer): pass
    async def on_start(self):
        speech = self.play(np.full(24000, 1000, np.int16))
        await speech
        heard.append(speech.heard.seconds)
        self.stop()
session = Session()
asyncio.run(asyncio.wait_for(Bot().run(session), 20))
assert session.track.sent and abs(heard[0] - 1.0) < 0.05, (session.track.sent, heard)
""",
    ),
)

CHANGES["how much counts as heard"] = (
    0,
    1,
    Change(
        edits={
            "fishjam_agents/playout/estimate.py": (
                "        self._settle(now)\n        if not self._chunks:\n            return self._settled\n",
                "        now -= 0.2\n        self._settle(now)\n        if not self._chunks:\n"
                "            return self._settled\n",
            )
        },
        shows="""
from fishjam_agents.playout.estimate import FishjamPlayoutEstimate
estimate = FishjamPlayoutEstimate(16000)
estimate.send(0.0, 16000)
assert estimate.played(0.5) == 4800, estimate.played(0.5)
""",
    ),
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The core, copied; what is installed beside it stays."""
    shutil.copytree(
        ROOT / "fishjam_agents", tmp_path / "fishjam_agents", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_touches_as_few_files_as_promised(name: str, copy: Path) -> None:
    most_new, most_lines, change = CHANGES[name]
    change.apply(copy)
    added_lines = len(change.imports)
    added_lines += sum(new.count("\n") - old.count("\n") for old, new in change.edits.values())
    assert len(change.new) <= most_new
    assert len(change.edits) <= (1 if most_lines else 0)
    assert added_lines <= max(most_lines, 0)
    program = change.shows + "\nimport fishjam_agents\nprint('works', fishjam_agents.__file__)\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["works", str(copy / "fishjam_agents" / "__init__.py")]
