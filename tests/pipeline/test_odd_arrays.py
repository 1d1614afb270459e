"""Samples that do not lie in a row, or not at an even address: what is compiled takes neither."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.samples import Samples
from fishjam_agents.testing import MemoryCall
from tests.pipeline.test_failures import Bot, ask

Converse = Callable[..., MemoryCall]


class Left:
    """A stage that gives one channel out of two."""

    def process(self, samples: Samples, format: AudioFormat) -> Samples:
        """Give a column of an array of two."""
        return np.stack((samples, samples), axis=1)[:, 0]

    def reset(self) -> None:
        """Forget nothing."""


def test_a_stage_may_give_a_column(converse: Converse) -> None:
    class Staged(Bot):
        input_stages = (Left(),)

    call = converse(Staged(), ask)
    assert not call.of("error")
    assert call.of("reply_ended")


def test_a_bot_may_speak_from_an_odd_address() -> None:
    pcm = (100 * np.arange(-160, 160, dtype=np.int16)).tobytes()
    odd, even = EchoReference(16000), EchoReference(16000)
    for number in range(50):
        end = (number + 1) * 0.02
        odd.sent(np.frombuffer(b"\x01" + pcm, np.int16, offset=1), end)
        even.sent(np.frombuffer(pcm, np.int16), end)
    found, expected = odd.window(1.0), even.window(1.0)
    assert found is not None
    assert expected is not None
    assert np.array_equal(found, expected)
