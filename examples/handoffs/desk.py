"""A reception that hands calls over to billing, and billing to a person who joins the room."""

from __future__ import annotations

from fishjam_agents import AgentPipeline, Handoff, tool


class Reception(AgentPipeline):
    """Who answers first; its settings are in config.yaml."""

    @tool
    async def to_billing(self, summary: str) -> Handoff:
        """Put the caller through to billing.

        Args:
            summary: Who calls and what they want, such as "Ann wants her money back".
        """
        return Handoff("billing", summary)


class Billing(AgentPipeline):
    """Who goes on with the call, with a voice and tools of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: str | None = None
        self.colleague: str | None = None

    @tool
    async def refund(self, invoice: int) -> str:
        """Give the money of an invoice back.

        Args:
            invoice: Its number, like 7.
        """
        return f"the money of invoice {invoice} is on its way"

    @tool
    async def to_a_colleague(self, summary: str) -> str:
        """Have a person join the call.

        Args:
            summary: What the person has to know, such as "Ann has waited for a week".
        """
        # Here you would page somebody and send them a link to the room.
        self.wanted = summary
        return "a colleague joins in a moment"

    async def on_peer_joined(self, peer: str) -> None:
        """Tell the colleague what it is about, and leave the floor to them."""
        if self.wanted is None or self.colleague is not None:
            return
        self.colleague = peer
        await self.respond(f"{self.peer_name(peer)}, your colleague, has joined. Tell them: {self.wanted}")
        self.listen(False)
        self.mute()

    async def on_peer_left(self, peer: str) -> None:
        """Go on alone when the colleague has left."""
        if peer == self.colleague:
            self.wanted = self.colleague = None
            self.unmute()
            self.listen()
            self.respond("Your colleague has left. Ask whether anything is still open.")
