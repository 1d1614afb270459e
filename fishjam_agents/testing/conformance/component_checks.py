"""Checks that every part of a cascade shares: streaming, hanging up, failing, keeping secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import pytest

from fishjam_agents.errors import BackendError, FailureKind
from fishjam_agents.testing.conformance.checks import LONGEST, Applicable, run_bounded
from fishjam_agents.testing.conformance.components import Cut, Fails, FakeComponentService, PartStep, Unknown

_FOREVER = 20.0
"""A pause that no test waits for."""
_GLANCE = 0.01
_KINDS: tuple[FailureKind, ...] = ("network", "auth", "config", "quota")


class PartChecks(Applicable):
    """Common base of the three suites.

    Attributes:
        first: First piece of an answer.
        second: The rest of it.
        other: All of another answer.
    """

    first: ClassVar[PartStep]
    second: ClassVar[PartStep]
    other: ClassVar[PartStep]

    def fake_service(self) -> FakeComponentService:
        """A new far side, with the part under test."""
        raise NotImplementedError(f"{type(self).__name__} tests nothing: override fake_service()")

    def ask(self, part: Any) -> AsyncIterator[Any]:
        """An ordinary request."""
        raise NotImplementedError

    def judge(self, pieces: Sequence[Any]) -> None:
        """Assert what holds of every complete answer."""
        raise NotImplementedError

    def said(self, pieces: Sequence[Any]) -> Any:
        """Return the answer itself out of the pieces; pieces of a part of it give a part of it."""
        raise NotImplementedError

    # --- running ---

    def run(self, check: Callable[[Any, FakeComponentService], Awaitable[None]]) -> None:
        """Run a check with a part that is connected, until nothing of it is left."""
        far = self.fake_service()

        async def scenario() -> None:
            before = asyncio.all_tasks()
            async with far:
                async with far.part().connect() as part:
                    await check(part, far)
                await self.until(lambda: far.open_requests() == 0, "end of all requests", far)
            # Iterators inside a client that were not read to their end are closed by the loop soon.
            await self.until(lambda: not asyncio.all_tasks() - before, "end of all tasks", far)

        # A check waits a few times: of a slow part, a model on this machine, each time for long.
        run_bounded(scenario, in_process=far.in_process, longest=max(LONGEST, 6 * far.patience))

    async def until(self, holds: Callable[[], bool], what: str, far: FakeComponentService) -> None:
        """Wait until something holds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + far.patience
        while not holds():
            assert loop.time() < end, f"no {what} within {far.patience:g} s"
            await asyncio.sleep(_GLANCE)

    async def all_of(self, part: Any) -> list[Any]:
        """A request and all of its answer."""
        async with aclosing(self._asked(part)) as pieces:
            return [piece async for piece in pieces]

    def _asked(self, part: Any) -> Any:
        pieces = self.ask(part)
        assert hasattr(pieces, "aclose"), "what it returns cannot be closed: write it as an async generator"
        return pieces

    async def failure(self, part: Any, taken: list[Any] | None = None) -> BackendError:
        """A request that has to fail; what came before goes into `taken`."""
        taken = [] if taken is None else taken
        try:
            async with aclosing(self._asked(part)) as pieces:
                async for piece in pieces:
                    taken.append(piece)
        except BackendError as error:
            return error
        raise AssertionError(f"it did not fail, but said {self.said(taken)!r}")

    def steered(self) -> FakeComponentService:
        """A far side to ask for its attributes; skips the test where there is no service."""
        far = self.fake_service()
        if not far.connects:
            pytest.skip("has no service that could be steered")
        return far

    # --- answers ---

    def test_its_check_passes_and_its_settings_show_no_secret(self) -> None:
        """Reprs end in logs and traces."""

        async def check(part: Any, far: FakeComponentService) -> None:
            settings = far.part()
            settings.check()
            for shown in (repr(settings), str(settings), repr(part)):
                assert far.secret is None or far.secret not in shown, "it shows its secret"

        self.run(check)

    def test_an_answer_comes_in_order_and_ends(self) -> None:
        """Twice, from one connection."""

        async def check(part: Any, far: FakeComponentService) -> None:
            for _ in range(2):
                if far.connects:
                    await far.answer(self.first, self.second)
                pieces = await self.all_of(part)
                self.judge(pieces)
                if far.connects:
                    assert self.said(pieces) == self._whole
            if far.connects:
                assert far.requests() == 2

        self.run(check)

    def test_the_first_piece_does_not_wait_and_whoever_stops_listening_hangs_up(self) -> None:
        """This is what closes the streams at a barge-in."""
        far = self.fake_service()
        self.applies(far.streams, "its answers come in one piece")

        async def check(part: Any, far: FakeComponentService) -> None:
            if far.connects:
                await far.answer(self.first, _FOREVER, self.second)
            async with aclosing(self._asked(part)) as pieces:
                taken: list[Any] = []
                async with asyncio.timeout(far.patience):
                    taken.append(await anext(pieces))
                    while far.connects and not self.said(taken):
                        taken.append(await anext(pieces))
                if far.connects:
                    assert far.open_requests() == 1, "the service had no listener any more"
                    assert self.said(taken) == self.said_of(self.first)
            await self.until(lambda: far.open_requests() == 0, "end of the request", far)

        self.run(check)

    def test_whoever_stops_waiting_hangs_up(self) -> None:
        """Also before the first piece."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(_FOREVER, self.first)
            waiting = asyncio.create_task(self.all_of(part))
            await self.until(lambda: far.open_requests() == 1, "request", far)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await self.until(lambda: far.open_requests() == 0, "end of the request", far)

        self.run(check)

    def test_answers_beside_one_another_do_not_mix(self) -> None:
        """The next sentence may be asked for while one is still coming."""
        self.steered()

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(self.first, 0.2, self.second)
            await far.answer(0.1, self.other)
            both = await asyncio.gather(self.all_of(part), self.all_of(part))
            assert sorted(map(self.said, both)) == sorted([self._whole, self.said_of(self.other)])

        self.run(check)

    def test_what_it_does_not_know_it_passes_over(self) -> None:
        """Services learn new words without asking."""
        self.applies(Unknown in self.steered().shows, "its wire holds nothing but the answer")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(Unknown(), self.first, Unknown(), self.second, Unknown())
            assert self.said(await self.all_of(part)) == self._whole

        self.run(check)

    # --- failures ---

    @pytest.mark.parametrize("kind", _KINDS)
    def test_a_refusal_has_its_kind_one_sentence_and_no_second_try(self, kind: FailureKind) -> None:
        """Leave it to the cascade what is to be tried again, and with which part."""
        self.applies(kind in self.steered().refusals, f"the far side has no failure of kind {kind}")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.refuse(kind)
            error = await self.failure(part)
            assert error.failure == kind, f"{kind} was told as {error.failure}: {error}"
            if kind != "quota":
                assert error.retryable == (kind == "network"), f"retryable is {error.retryable}"
            self._sentence(error, far)
            assert far.requests() == 1, f"it asked {far.requests()} times"
            await far.answer(self.first, self.second)
            assert self.said(await self.all_of(part)) == self._whole

        self.run(check)

    @pytest.mark.parametrize("trouble", [Cut(), Fails()], ids=["cut", "fails"])
    def test_an_answer_that_breaks_off_is_told_after_what_came(self, trouble: PartStep) -> None:
        """Nothing is asked for again: what came has been spoken."""
        self.applies(type(trouble) in self.steered().shows, "its wire cannot show that")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(self.first, trouble)
            taken: list[Any] = []
            error = await self.failure(part, taken)
            assert error.retryable
            self._sentence(error, far)
            assert far.requests() == 1, f"it asked {far.requests()} times"
            if far.streams:
                assert self.said(taken) == self.said_of(self.first)

        self.run(check)

    def test_a_service_that_never_answers_is_given_up_in_time(self) -> None:
        """Check a part that has a deadline of its own."""
        self.applies(self.steered().deadline is not None, "leaves it to the cascade to give it up")

        async def check(part: Any, far: FakeComponentService) -> None:
            await far.answer(_FOREVER, self.first)
            async with asyncio.timeout(far.patience):
                error = await self.failure(part)
            assert (error.failure, error.retryable) == ("network", True)
            self._sentence(error, far)
            assert far.requests() == 1, f"it asked {far.requests()} times"

        self.run(check)

    def said_of(self, *steps: PartStep) -> Any:
        """Return the content of an answer of these steps."""
        raise NotImplementedError

    @property
    def _whole(self) -> Any:
        return self.said_of(self.first, self.second)

    def _sentence(self, error: BackendError, far: FakeComponentService) -> None:
        message = str(error)
        assert "\n" not in message, message
        assert ": " in message, f"say what happened and what to do: {message!r}"
        assert far.secret is None or far.secret not in message, "it shows its secret"
