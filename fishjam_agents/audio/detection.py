"""Voice detection of one microphone: a detector, and what corrects its decisions."""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents.audio.detectors import DetectorName, make_detector
from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.near_voice import NearVoice
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import NetworkName, SecondOpinion, make_network
from fishjam_agents.audio.vad import Decision, Detector, PresetName
from fishjam_agents.audio.vad_batch import DetectorBatch, Question


class Detection:
    """Decisions on one microphone's frames; one object per stream, causal.

    Args:
        vad: The detector.
        preset: How readily it takes a sound for speech.
        second_opinion: Who is asked where it may be wrong, a key of `audio.second_opinion.NETWORKS`; None for
            nobody.
        near_voice: Whether voices far below that of the speaker count for nothing.

    Raises:
        MissingExtraError: A package is not installed.

    Attributes:
        detector: The detector.
        start: Sum of scores at which the turn machine suspects speech.
        second: Who is asked; None for nobody.
        near: What is known of the speaker's voice; None where all voices count.
        corrects: Whether the detector's decisions are corrected.
        gathers: Whether frames cost less where they are judged together with those of others
            (`DetectionBatch`); a compiled detector costs the same.
    """

    def __init__(
        self,
        vad: DetectorName = "default",
        preset: PresetName = "default",
        second_opinion: NetworkName | None = None,
        near_voice: bool = False,
    ) -> None:
        self.detector = make_detector(vad, preset)
        self.start = self.detector.start
        self.second = None if second_opinion is None else SecondOpinion(make_network(second_opinion))
        self.near = NearVoice() if near_voice else None
        self.corrects = self.second is not None or self.near is not None
        self.gathers = isinstance(self.detector, Detector)

    @property
    def echo(self) -> Echo | None:
        """The echo of the bot's voice expected in the last frame; None while none is."""
        return self.detector.echo

    @property
    def lead(self) -> float:
        """Seconds before a sound was suspected in which it may have begun softly (`NearVoice.lead`)."""
        return 0.0 if self.near is None else self.near.lead

    def restart(self) -> None:
        """Forget the noise and who spoke, not the echo: what comes next may be another room, or device."""
        self.detector.restart()
        if self.second is not None:
            self.second.restart()
        if self.near is not None:
            self.near.restart()

    def feed(
        self,
        frame: Samples,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
        barge_in: bool = False,
    ) -> Decision:
        """Judge the next 20 ms.

        Args:
            frame: int16 mono at 16 kHz, shape (320,).
            in_speech: Whether the turn machine follows a sound.
            accumulating: As `vad.Detector.feed` has it.
            playing: As `vad.Detector.feed` has it.
            barge_in: Whether the bot is speaking.
        """
        decision = self.detector.feed(frame, in_speech, accumulating, playing)
        return self.correct(decision, frame, in_speech, barge_in) if self.corrects else decision

    def correct(self, decision: Decision, frame: Samples, in_speech: bool, barge_in: bool) -> Decision:
        """Correct the detector's decision: the last step of `feed`."""
        if self.second is not None:
            echo = self.detector.echo is not None
            decision = self.second.judge(frame, decision, in_speech, barge_in, echo)
        if self.near is not None:
            decision = self.near.judge(decision, in_speech, self.detector.echo is not None)
        return decision


class DetectionBatch:
    """Decisions on frames of different microphones at once; holds nothing between two calls."""

    def __init__(self) -> None:
        self._detectors = DetectorBatch()

    def feed(
        self, detections: Sequence[Detection], questions: Sequence[Question]
    ) -> list[Decision | Exception]:
        """Judge the next 20 ms of each microphone, as `Detection.feed` would one after the other.

        Args:
            detections: No microphone twice.
            questions: The frame of each.

        Returns:
            The decisions, in order; where a detector of the user's or a network raised, what it raised.
        """
        detectors: list[Detector] = []
        asked: list[Question] = []
        for detection, question in zip(detections, questions, strict=True):
            if isinstance(detection.detector, Detector):
                detectors.append(detection.detector)
                asked.append(question)
        answers: list[Decision | Exception] = [*self._detectors.feed(detectors, asked)]
        if len(answers) < len(detections):
            decided = iter(answers)
            answers = [
                next(decided) if isinstance(detection.detector, Detector) else _asked(detection, question)
                for detection, question in zip(detections, questions, strict=True)
            ]
        for index, detection in enumerate(detections):
            answer = answers[index]
            if detection.corrects and not isinstance(answer, Exception):
                frame, in_speech, _, _, barge_in = questions[index]
                try:
                    answers[index] = detection.correct(answer, frame, in_speech, barge_in)
                except Exception as error:  # noqa: BLE001 - the others may belong to other calls
                    answers[index] = error
        return answers


def _asked(detection: Detection, question: Question) -> Decision | Exception:
    """The decision of a detector that knows nothing of others."""
    try:
        return detection.detector.feed(*question[:4])
    except Exception as error:  # noqa: BLE001 - the others may belong to other calls
        return error
