"""Voice activity of simulated callers, on the socket and by webhook."""

from __future__ import annotations

from typing import Any

import numpy as np

from fishjam_agents.audio.wav import Clip
from fishjam_agents.server.media.voice_activity import QUIET_TICKS, VoiceActivity, loud_windows

from .conftest import Client, Serve, receiver

SILENCE, SPEECH = 1, 2


def tone(level: int, seconds: float, rate: int = 16000) -> Clip:
    return Clip(np.full(round(seconds * rate), level, np.int16), rate)


def test_speech_ends_after_a_while_of_quiet() -> None:
    changes: list[bool] = []
    activity = VoiceActivity(changes.append)
    activity.begin()
    for window in range(QUIET_TICKS):
        activity.pause(window)
    assert changes == [True]
    activity.loud_at = QUIET_TICKS
    for window in range(QUIET_TICKS, 2 * QUIET_TICKS):
        activity.pause(window)
    assert changes == [True]
    activity.pause(2 * QUIET_TICKS)
    assert changes == [True, False]


def test_a_window_is_loud_from_the_threshold_on() -> None:
    # -32 dB below full scale is an RMS of 823.
    levels = np.repeat(np.array([0, 800, 850, -850, 32767, -32768], np.int16), 320)
    assert loud_windows(levels) == bytes([0, 0, 1, 1, 1, 1])
    assert loud_windows(levels[:319]) == b""


def test_a_caller_who_speaks_is_told_of_on_change_only(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.notifications() as told:
            room_id = await client.room()
            quiet = await client.server.add_caller(room_id, tone(100, 5.0))
            loud = await client.server.add_caller(room_id, tone(5000, 0.1, rate=24000))
            heard: list[Any] = []
            while len(heard) < 3:
                name, message = await anext(told)
                if name == "vad_notification":
                    heard.append(message)
                    if len(heard) == 2:
                        quiet.feed(np.full(8000, 9000, np.int16), 16000)
                        quiet.say(tone(9000, 0.1))
            assert [(item.peer_id, item.status) for item in heard] == [
                (loud.id, SPEECH),
                (loud.id, SILENCE),
                (quiet.id, SPEECH),
            ]
            assert heard[0].track_id == loud.microphone.track.id
            quiet.mute()
            while True:
                name, message = await anext(told)
                if name == "vad_notification":
                    assert (message.peer_id, message.status) == (quiet.id, SILENCE)
                    break

    serve(scenario)


def test_voice_activity_is_never_in_a_batch_and_never_posted_twice(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            room_id = await client.room(webhookUrl=hook.url, batchWebhookNotifications=True)
            await hook.until(lambda: hook.requests)
            caller = await client.server.add_caller(room_id)
            await hook.until(lambda: hook.told()[-1][0] == "track_added")
            hook.statuses = [500]
            caller.say(tone(5000, 0.1))
            await hook.until(lambda: hook.kinds().count("vad_notification") == 2)
            assert set(hook.kinds()[:-2]) == {"notification_batch"}
            assert [message.status for _, message in hook.told()[-2:]] == [SPEECH, SILENCE]
            await hook.until(lambda: client.server.webhooks.failed == 1)

    serve(scenario)
