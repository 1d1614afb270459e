"""Checks of tool calls: declared, called, answered once."""

from __future__ import annotations

from fishjam_agents.backends import port
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import ECHO, Harness


async def _another_call(harness: Harness, far: FakeService) -> None:
    """A call and its answer, on whichever connection lasts: a service may refuse at first."""
    for number in range(2, 8):
        await harness.until(lambda: far.open_connections() == 1, "another connection")
        await harness.settle(0.5)
        if far.open_connections() != 1:
            continue
        name = f"kit-{number}"
        await far.call_tool(name, ECHO.name, {"text": name})
        harness.prompt()
        await harness.settle(0.5)
        calls = [call for call in harness.of(port.ToolCall) if call.arguments.get("text") == name]
        if calls:
            harness.put(port.ToolResultInput(calls[0].call, "second", ECHO.name))
            await harness.until(
                lambda name=name: [a for a in harness.received("tool_result") if a.call == name],  # type: ignore[misc]
                "the answer to another call",
            )
            return
    raise AssertionError(f"no tool is called after the losses, but {harness.events[-5:]}")


class ToolChecks(Checks):
    """Tools exactly once."""

    def test_a_tool_is_called_with_its_arguments_and_answered_once(self) -> None:
        """With `tools`."""
        self.applies(self.capabilities().tools, "calls no tools")
        arguments = {"text": 'Grüße, "quotes"', "deep": {"list": [1, 2.5, None, True]}}

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.call_tool("kit-1", ECHO.name, arguments)
            harness.prompt()
            await harness.until(lambda: harness.of(port.ToolCall), "a tool call")
            (call,) = harness.of(port.ToolCall)
            assert (call.name, dict(call.arguments)) == (ECHO.name, arguments)
            harness.put(port.ToolResultInput(call.call, 'answer "1"', call.name))
            await harness.until(lambda: harness.received("tool_result"), "the answer")
            await harness.settle()
            answers = harness.received("tool_result")
            assert len(answers) == 1, f"answered {len(answers)} times"
            answer = answers[0]
            assert answer.call == "kit-1"
            assert 'answer "1"' in str(answer.value)

        self.run(check)

    def test_calls_beside_one_another_are_answered_each_by_its_id(self) -> None:
        """In whichever order the answers come."""
        self.applies(self.capabilities().tools, "calls no tools")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            for name in ("kit-1", "kit-2", "kit-3"):
                await far.call_tool(name, ECHO.name, {"text": name})
            harness.prompt()
            await harness.until(lambda: len(harness.of(port.ToolCall)) == 3, "three tool calls")
            for call in reversed(harness.of(port.ToolCall)):
                harness.put(port.ToolResultInput(call.call, f"for {call.arguments['text']}", call.name))
            await harness.until(lambda: len(harness.received("tool_result")) == 3, "three answers")
            for answer in harness.received("tool_result"):
                assert f"for {answer.call}" in str(answer.value)

        self.run(check)

    def test_an_error_is_told_as_one(self) -> None:
        """Expect an error to reach the model in words."""
        self.applies(self.capabilities().tools, "calls no tools")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.call_tool("kit-1", ECHO.name, {"text": "x"})
            harness.prompt()
            await harness.until(lambda: harness.of(port.ToolCall), "a tool call")
            (call,) = harness.of(port.ToolCall)
            harness.put(port.ToolResultInput(call.call, "the shop is closed", call.name, error=True))
            await harness.until(lambda: harness.received("tool_result"), "the error")
            assert "the shop is closed" in str(harness.received("tool_result")[0].value)

        self.run(check)

    def test_a_call_that_is_taken_back_is_told(self) -> None:
        """Check a service that takes calls back."""
        self.applies(self.capabilities().tools, "calls no tools")
        far_kind = type(self.fake_service())
        self.applies(far_kind.cancel_tool is not FakeService.cancel_tool, "the service takes no call back")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.call_tool("kit-1", ECHO.name, {"text": "x"})
            harness.prompt()
            await harness.until(lambda: harness.of(port.ToolCall), "a tool call")
            await far.cancel_tool("kit-1")
            await harness.until(lambda: harness.of(port.ToolCallCancelled), "the cancellation")
            assert harness.of(port.ToolCallCancelled)[0].call == harness.of(port.ToolCall)[0].call

        self.run(check)

    def test_an_answer_is_given_once_over_a_lost_connection(self) -> None:
        """Exactly once where the service takes up the conversation, else at most once; then it goes on."""
        self.applies(self.capabilities().tools, "calls no tools")
        self.applies(self.fake_service().connects, "has no lasting connection to lose")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.call_tool("kit-1", ECHO.name, {"text": "x"})
            harness.prompt()
            await harness.until(lambda: harness.of(port.ToolCall), "a tool call")
            (call,) = harness.of(port.ToolCall)
            await far.drop()
            await harness.until(lambda: harness.of(port.BackendFailure), "notice of the loss")
            harness.put(port.ToolResultInput(call.call, "late answer", call.name))
            await harness.until(lambda: far.open_connections() == 1, "the next connection")
            await far.drop()
            await harness.until(lambda: len(harness.of(port.BackendFailure)) > 1, "notice of the second loss")
            await _another_call(harness, far)
            answers = [answer for answer in harness.received("tool_result") if answer.call == "kit-1"]
            assert len(answers) <= 1, f"answered {len(answers)} times"
            if far.resumes:
                assert answers, "the answer was lost with the connection"

        self.run(check)
