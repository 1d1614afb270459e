"""Voice detection for all microphones of an event loop: what comes in one turn of it is judged together.

A frame alone is judged as it comes. Where frames come together, they wait for each other to the end of the
turn of the loop, and no longer: so whoever is alone waits for nobody, and a loop that is behind makes large
batches, which cost less for each frame, by itself. No task, no timer, no queue for each frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import ClassVar, Protocol
from weakref import WeakKeyDictionary

from fishjam_agents.audio.detection import Detection, DetectionBatch
from fishjam_agents.audio.vad import Decision
from fishjam_agents.audio.vad_batch import Question

WORTHWHILE = 8.0
"""Packets in a turn, in the mean over some, below which waiting does not pay: a further turn of the loop and
the fixed price of a batch cost what is saved."""
FIRST_MEAN = 1.5 * WORTHWHILE
"""Mean with which a trial begins, in the middle of a turn perhaps."""
_TRIAL_EVERY = 100
"""Packets that are judged alone between two trials whether they come together."""
_RATE = 1 / 8


class Asker(Protocol):
    """Interface of what has frames judged: `Microphone`.

    Attributes:
        detection: Its voice detection.
        answer: Where it finds the decision.
    """

    detection: Detection
    answer: Decision

    def fail(self, error: Exception) -> None:
        """Take it that hearing has failed."""
        ...


class DetectorBank:
    """Judges the frames of all microphones of a loop.

    Args:
        gathers: Whether frames may wait for others; without, each is judged as it comes.
    """

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, DetectorBank]] = WeakKeyDictionary()

    def __init__(self, *, gathers: bool = True) -> None:
        self._may_gather = gathers
        self._batch = DetectionBatch()
        self._waiting: dict[Asker, list[Iterator[Question]]] = {}
        self._packets = 0
        self._alone = 0
        self._turn_ends = False
        self._gathers = False
        self._together = FIRST_MEAN

    @classmethod
    def shared(cls) -> DetectorBank:
        """The bank of the running loop."""
        loop = asyncio.get_running_loop()
        bank = cls._shared.get(loop)
        if bank is None:
            bank = cls._shared[loop] = cls()
        return bank

    @classmethod
    def share(cls, loop: asyncio.AbstractEventLoop, bank: DetectorBank) -> None:
        """Let `bank` be the one of a loop."""
        cls._shared[loop] = bank

    def gathers(self) -> bool:
        """Take notice of a packet; return whether it has to be `put`, else its frames are judged at once."""
        if self._gathers:
            return True
        self._alone += 1
        if self._alone >= _TRIAL_EVERY:
            self._gathers, self._together = self._may_gather, FIRST_MEAN
        return False

    def put(self, asker: Asker, work: Iterator[Question]) -> None:
        """Do work that asks questions: now, or at the end of this turn of the loop.

        Args:
            asker: Whose it is. What is put for one is done in order.
            work: Gives a question and, when it is asked to go on, finds the answer with its asker.

        Raises:
            Exception: Of `work`, where it is done now; later they are given to `Asker.fail`.
        """
        if not self.gathers():
            for question in work:
                asker.answer = asker.detection.feed(*question)
            return
        if not self._turn_ends:
            # What was settled before is of this turn, too.
            self._turn_ends = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._packets += 1
        self._waiting.setdefault(asker, []).append(work)

    def _end_turn(self) -> None:
        self._turn_ends = False
        self._together += _RATE * (self._packets - self._together)
        self._packets = 0
        if self._together < WORTHWHILE:
            self._gathers, self._alone = False, 0
        self._judge()

    def settle(self, asker: Asker) -> None:
        """Do what waits now, if anything of `asker` does."""
        if asker in self._waiting:
            self._judge()

    def _judge(self) -> None:
        waiting, self._waiting = self._waiting, {}
        running: list[tuple[Asker, Iterator[Question]]] = [
            (asker, works[0] if len(works) == 1 else chain.from_iterable(works))
            for asker, works in waiting.items()
        ]
        while running:
            asking: list[tuple[Asker, Iterator[Question]]] = []
            detections: list[Detection] = []
            questions: list[Question] = []
            for each in running:
                asker, work = each
                try:
                    question = next(work, None)
                except Exception as error:  # noqa: BLE001 - the others may belong to other calls
                    asker.fail(error)
                    continue
                if question is not None:
                    asking.append(each)
                    detections.append(asker.detection)
                    questions.append(question)
            running = []
            for each, answer in zip(asking, self._batch.feed(detections, questions), strict=True):
                if isinstance(answer, Exception):
                    each[0].fail(answer)
                else:
                    each[0].answer = answer
                    running.append(each)
