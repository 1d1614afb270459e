"""Handoffs of handoffs, after a process was lost."""

from __future__ import annotations

from fishjam_agents.backends.cascade import LLMToolCall
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.tool import tool
from tests.cascade.calls import bot, said
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.test_handoffs import GO_ON, two_turns
from tests.pipeline.test_journal import Told, asks_and_hears


class Refunds(AgentPipeline):
    instructions = "You are refunds."


class Billing(AgentPipeline):
    instructions = "You are billing."

    def __init__(self) -> None:
        super().__init__()
        self.handoffs = {"refunds": Refunds}

    @tool
    async def to_refunds(self) -> Handoff:
        """Hand the call over to refunds."""
        return Handoff("refunds", "they want their money back")


class Reception(AgentPipeline):
    instructions = "You are reception."

    def __init__(self) -> None:
        super().__init__()
        self.handoffs = {"billing": Billing}

    @tool
    async def to_billing(self, about: str) -> Handoff:
        """Hand the call over to billing."""
        return Handoff("billing", about)


def test_a_process_that_takes_over_goes_on_as_a_bot_that_only_another_one_knows() -> None:
    told = Told()
    llm = Answers([[GO_ON], ["Billing here. "], [LLMToolCall("c2", "to_refunds", {})], ["Refunds here. "]])
    told.serve(bot(Understands([["A refund."], ["Go on."]]), llm, Speaks(), kind=Reception), two_turns)
    llm = Answers([["Fine. "]])
    told.serve(bot(Understands([["Thanks."]]), llm, Speaks(), kind=Reception), asks_and_hears)
    assert "You are refunds." in said(llm)[0][1]
