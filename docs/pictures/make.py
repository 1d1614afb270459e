"""`python docs/pictures/make.py`: draws the pictures of the documents again, from simulated calls."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fishjam_agents.backends import Parrot
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.observe.report import write_picture
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server.media.recorder import RECORDING_RATE
from fishjam_agents.simulation import simulate_fast

HERE = Path(__file__).resolve().parent
SCENARIO = HERE.parent.parent / "examples" / "scenarios" / "turn-taking.yaml"


def main() -> None:
    """Draw `turn-taking.png`."""
    bot = AgentPipeline()
    bot.backend = Parrot(delay=0.2)
    result = simulate_fast(bot, load_scenario(SCENARIO).scenario)
    with tempfile.TemporaryDirectory() as folder:
        picture = write_picture(
            Path(folder), room=result.room, sample_rate=RECORDING_RATE, timeline=result.timeline
        )
        shutil.copyfile(picture, HERE / "turn-taking.png")


if __name__ == "__main__":
    main()
