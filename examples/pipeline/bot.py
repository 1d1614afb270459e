from fishjam_agents import AgentPipeline, Turn
from fishjam_agents.backends import Parrot


class Bot(AgentPipeline):
    backend = Parrot()

    async def on_turn(self, turn: Turn) -> None:
        print(f"{self.peer_name(turn.peer)} spoke for {turn.end - turn.start:.1f} s")
