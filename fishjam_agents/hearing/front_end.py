"""Sound of a microphone before it is judged: 20 ms frames, without the bot's echo, staged by the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.reblock import Reblocker
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.arrivals import Arrivals
from fishjam_agents.hearing.echo_canceller import EchoCanceller
from fishjam_agents.hearing.stages import Stage
from fishjam_agents.turns.machine import TurnMachine

StageFailed = Callable[[Stage, Exception], None]


class FrontEnd:
    """Steps of one microphone between its packets and voice detection.

    Args:
        format: What the packets hold.
        stages: The user's processing, instances of this microphone's own. One that raises is left out.
        machine: The turn machine, which knows whether a sound is followed.

    Attributes:
        canceller: What takes the bot's echo out of the sound; None without one.
    """

    __slots__ = ("_arrivals", "_blocks", "_format", "_machine", "_staged", "_stages", "canceller")

    def __init__(self, format: AudioFormat, stages: Sequence[Stage], machine: TurnMachine) -> None:
        self._format = format
        self._machine = machine
        self._stages = list(stages)
        self._blocks = Reblocker(format.frame_samples)
        self._staged = Reblocker(format.frame_samples)
        self._arrivals = Arrivals()
        self.canceller: EchoCanceller | None = None

    @property
    def is_idle(self) -> bool:
        """True if a packet that is one frame would come out as it is."""
        return not self._blocks.carried and not self._stages and self.canceller is None

    @property
    def carried(self) -> int:
        """Samples that wait for the rest of their frame."""
        return self._blocks.carried

    def frames(self, samples: Samples, now: float, failed: StageFailed) -> Iterable[Samples]:
        """Give the frames that a packet completes.

        Args:
            samples: The packet, int16 mono.
            now: Call time at which it came.
            failed: Told once of each stage that raised.
        """
        blocks = self._blocks.process(samples)
        return blocks if self.canceller is None and not self._stages else self._processed(blocks, now, failed)

    def _processed(self, blocks: Sequence[Samples], now: float, failed: StageFailed) -> Iterator[Samples]:
        for block in blocks:
            for cleaned in (block,) if self.canceller is None else self._clean(self.canceller, block, now):
                yield from self._stage(cleaned, failed)

    def _stage(self, frame: Samples, failed: StageFailed) -> Sequence[Samples]:
        return self._staged.process(self._run_stages(frame, failed)) if self._stages else (frame,)

    def _run_stages(self, frame: Samples, failed: StageFailed) -> Samples:
        for stage in tuple(self._stages):
            try:
                processed = stage.process(frame, self._format)
                if processed.dtype != np.int16 or processed.ndim != 1:
                    raise TypeError(
                        f"a stage must return int16 of shape (m,), not {processed.dtype} {processed.shape}"
                    )
                # A column of several channels: what is compiled takes samples in a row only.
                frame = np.require(processed, np.int16, ("C", "A"))
            except Exception as error:  # noqa: BLE001 - user code; one peer's bad stage must not end the room
                self._stages.remove(stage)
                failed(stage, error)
        return frame

    def _clean(self, canceller: EchoCanceller, frame: Samples, now: float) -> Iterator[Samples]:
        if not canceller.active:
            self._arrivals.settle()
        for placed, at in self._arrivals.take(frame, now):
            yield canceller.clean(placed, at, self._machine.in_speech)

    def release(self, failed: StageFailed) -> Iterator[tuple[Samples, Sequence[Samples]]]:
        """Give what waits for packets that do not come: each frame, and what the stages make of it."""
        if self.canceller is not None:
            for placed, at in self._arrivals.release():
                cleaned = self.canceller.clean(placed, at, self._machine.in_speech)
                yield cleaned, self._stage(cleaned, failed)

    def forget_echo(self) -> None:
        """Take what comes next for sound of another device."""
        self._arrivals.reset()
        if self.canceller is not None:
            self.canceller.reset()

    def clear(self) -> None:
        """Forget the past."""
        self._blocks.clear()
        self._staged.clear()
        self.forget_echo()
        for stage in self._stages:
            stage.reset()
