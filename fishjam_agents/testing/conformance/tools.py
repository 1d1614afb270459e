"""Checks of tool calls: declared, called, answered once."""

from __future__ import annotations

from fishjam_agents.backends import port
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import ECHO, Harness


async def _another_call(rig: Harness, far: FakeService) -> None:
    """A call and its answer, on whichever connection lasts: a service may refuse at first."""
    for number in range(2, 8):
        await rig.until(lambda: far.open_connections() == 1, "another connection")
        await rig.settle(0.5)
        if far.open_connections() != 1:
            continue
        name = f"kit-{number}"
        await far.call_tool(name, ECHO.name, {"text": name})
        rig.prompt()
        await rig.settle(0.5)
        calls = [call for call in rig.of(port.ToolCall) if call.arguments.get("text") == name]
        if calls:
            rig.put(port.ToolResultInput(calls[0].call, "second", ECHO.name))
            await rig.until(
                lambda name=name: [a for a in rig.received("tool_result") if a.call == name],  # type: ignore[misc]
                "the answer to another call",
            )
            return
    raise AssertionError(f"no tool is called after the losses, but {rig.events[-5:]}")


class ToolChecks(Checks):
    """Tools exactly once."""

    def test_a_tool_is_called_with_its_arguments_and_answered_once(self) -> None:
        """With `tools`."""
        self.applies(self.capabilities().tools, "calls no tools")
        arguments = {"text": 'Grüße, "quotes"', "deep": {"list": [1, 2.5, None, True]}}

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            await far.call_tool("kit-1", ECHO.name, arguments)
            rig.prompt()
            await rig.until(lambda: rig.of(port.ToolCall), "a tool call")
            (call,) = rig.of(port.ToolCall)
            assert (call.name, dict(call.arguments)) == (ECHO.name, arguments)
            rig.put(port.ToolResultInput(call.call, 'answer "1"', call.name))
            await rig.until(lambda: rig.received("tool_result"), "the answer")
            await rig.settle()
            answers = rig.received("tool_result")
            assert len(answers) == 1, f"answered {len(answers)} times"
            answer = answers[0]
            assert answer.call == "kit-1"
            assert 'answer "1"' in str(answer.value)

        self.run(check)

    def test_calls_beside_one_another_are_answered_each_by_its_id(self) -> None:
        """In whichever order the answers come."""
        self.applies(self.capabilities().tools, "calls no tools")

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            for name in ("kit-1", "kit-2", "kit-3"):
                await far.call_tool(name, ECHO.name, {"text": name})
            rig.prompt()
            await rig.until(lambda: len(rig.of(port.ToolCall)) == 3, "three tool calls")
            for call in reversed(rig.of(port.ToolCall)):
                rig.put(port.ToolResultInput(call.call, f"for {call.arguments['text']}", call.name))
            await rig.until(lambda: len(rig.received("tool_result")) == 3, "three answers")
            for answer in rig.received("tool_result"):
                assert f"for {answer.call}" in str(answer.value)

        self.run(check)

    def test_an_error_is_told_as_one(self) -> None:
        """Expect an error to reach the model in words."""
        self.applies(self.capabilities().tools, "calls no tools")

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            await far.call_tool("kit-1", ECHO.name, {"text": "x"})
            rig.prompt()
            await rig.until(lambda: rig.of(port.ToolCall), "a tool call")
            (call,) = rig.of(port.ToolCall)
            rig.put(port.ToolResultInput(call.call, "the shop is closed", call.name, error=True))
            await rig.until(lambda: rig.received("tool_result"), "the error")
            assert "the shop is closed" in str(rig.received("tool_result")[0].value)

        self.run(check)

    def test_a_call_that_is_taken_back_is_told(self) -> None:
        """Check a service that takes calls back."""
        self.applies(self.capabilities().tools, "calls no tools")
        far_kind = type(self.far_side())
        self.applies(far_kind.cancel_tool is not FakeService.cancel_tool, "the service takes no call back")

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            await far.call_tool("kit-1", ECHO.name, {"text": "x"})
            rig.prompt()
            await rig.until(lambda: rig.of(port.ToolCall), "a tool call")
            await far.cancel_tool("kit-1")
            await rig.until(lambda: rig.of(port.ToolCallCancelled), "the cancellation")
            assert rig.of(port.ToolCallCancelled)[0].call == rig.of(port.ToolCall)[0].call

        self.run(check)

    def test_an_answer_is_given_once_over_a_lost_connection(self) -> None:
        """Exactly once where the service takes up the conversation, else at most once; then it goes on."""
        self.applies(self.capabilities().tools, "calls no tools")
        self.applies(self.far_side().connects, "has no lasting connection to lose")

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            await far.call_tool("kit-1", ECHO.name, {"text": "x"})
            rig.prompt()
            await rig.until(lambda: rig.of(port.ToolCall), "a tool call")
            (call,) = rig.of(port.ToolCall)
            await far.drop()
            await rig.until(lambda: rig.of(port.BackendFailure), "notice of the loss")
            rig.put(port.ToolResultInput(call.call, "late answer", call.name))
            await rig.until(lambda: far.open_connections() == 1, "the next connection")
            await far.drop()
            await rig.until(lambda: len(rig.of(port.BackendFailure)) > 1, "notice of the second loss")
            await _another_call(rig, far)
            answers = [answer for answer in rig.received("tool_result") if answer.call == "kit-1"]
            assert len(answers) <= 1, f"answered {len(answers)} times"
            if far.resumes:
                assert answers, "the answer was lost with the connection"

        self.run(check)
