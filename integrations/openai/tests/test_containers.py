"""What servers send for speech, under any label: what it is is told by its bytes."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.containers import NoPcmError, SoundReader
from fishjam_agents_openai.emulator import DIALECTS, Answer, Emulator
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import BackendError
from integrations.openai.tests.asking import run, speak

RATE = 24000
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE // 20) / RATE)).astype(np.int16)
PCM = TONE.astype("<i2").tobytes()


def wav(
    code: int, bits: int, data: bytes, *, channels: int = 1, rate: int = RATE, size: int | None = None
) -> bytes:
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)
    chunks = b"LIST\x05\0\0\0INFO!\0" + b"fmt " + struct.pack("<I", len(head)) + head
    size = len(data) if size is None else size
    return (
        b"RIFF\xff\xff\xff\xffWAVE"
        + chunks
        + b"data"
        + struct.pack("<I", size)
        + data
        + b"LIST\x04\0\0\0more"
    )


def floats(kind: str) -> bytes:
    return (TONE / 32768).astype(kind).tobytes()


def packed24() -> bytes:
    return np.left_shift(TONE.astype("<i4"), 8).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def stereo() -> bytes:
    return np.stack([TONE, TONE], axis=1).astype("<i2").tobytes()


def standard() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(PCM)
    return file.getvalue()


FILES = {
    "standard": standard(),
    "16 bit, a length too many": wav(1, 16, PCM),
    "float": wav(3, 32, floats("<f4")),
    "double": wav(3, 64, floats("<f8")),
    "24 bit": wav(1, 24, packed24()),
    "32 bit": wav(1, 32, np.left_shift(TONE.astype("<i4"), 16).astype("<i4").tobytes()),
    "stereo": wav(1, 16, stereo(), channels=2),
}


def read(data: bytes, label: str = "application/octet-stream", size: int = 4096, rate: int = RATE) -> bytes:
    reader = SoundReader(rate, label)
    sound = b"".join([reader.feed(data[at : at + size]) for at in range(0, len(data), size)])
    return sound + reader.finish()


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("name", FILES)
def test_a_wav_file_is_read_as_its_samples_under_any_label(name: str, size: int) -> None:
    for label in ("audio/pcm", "application/octet-stream", "audio/wave", "audio/mpeg", ""):
        samples = np.frombuffer(read(FILES[name], label, size), "<i2")
        assert np.abs(samples.astype(int) - TONE).max() <= 1


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_file_that_is_streamed_does_not_know_its_size(size: int) -> None:
    streamed = wav(1, 16, PCM, size=size).removesuffix(b"LIST\x04\0\0\0more")
    assert read(streamed) == PCM


def test_a_wav_file_of_another_rate_is_as_long_as_before() -> None:
    for rate in (8000, 16000, 22050, 44100, 48000):
        samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype("<i2")
        sound = np.frombuffer(read(wav(1, 16, samples.tobytes(), rate=rate)), "<i2")
        assert len(sound) == pytest.approx(RATE, abs=RATE * 0.01)
        spectrum = np.abs(np.fft.rfft(sound))
        assert spectrum.argmax() * RATE / len(sound) == pytest.approx(440, abs=3)


def test_a_label_that_tells_a_rate_is_believed() -> None:
    assert len(read(PCM, "audio/pcm;rate=12000")) == pytest.approx(2 * len(PCM), rel=0.02)
    assert read(PCM, "audio/L16; rate=24000; channels=1") == PCM


MP3 = (b"\xff\xf3\x64\xc4" + bytes(140)) * 3
"""Frames of 144 bytes: MPEG-2, layer III, 24 kHz, 48 kbit/s."""
AAC = (b"\xff\xf1\x50\x80\x10\x1f\xfc" + bytes(121)) * 3
"""Frames of 128 bytes."""


@pytest.mark.parametrize("label", ["audio/pcm", "application/octet-stream", "audio/wave"])
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"ID3\x04\0\0\0\0\0\0" + MP3, "MP3"),
        (MP3, "MP3"),
        (AAC, "AAC"),
        (b"OggS\0\x02" + bytes(60), "Ogg"),
        (b"fLaC\0\0\0\x22" + bytes(60), "FLAC"),
        (b"FORM\0\0\x10\0AIFFCOMM", "AIFF"),
        (b"\x1a\x45\xdf\xa3" + bytes(60), "WebM"),
        (b"\0\0\0\x20ftypM4A " + bytes(60), "MP4"),
        (b'{"error": {"message": "out of memory"}}', "text"),
        (b"<!DOCTYPE html><html></html>", "text"),
        (b'data: {"type": "speech.audio.delta"}', "text"),
        (wav(7, 8, b"\x7f" * 99), "a WAV file in a form that is not read"),
        (b"RIFF\x10\0\0\0AVI LIST", "RIFF"),
        (standard()[:30], "a WAV file that ends in its header"),
    ],
)
def test_what_would_be_noise_is_refused_by_its_name(data: bytes, name: str, label: str) -> None:
    for size in (1, 5, 4096):
        with pytest.raises(NoPcmError, match=name):
            read(data, label, size)


@given(st.binary(max_size=400), st.integers(1, 50), st.sampled_from(["audio/pcm", "audio/mpeg", "audio/wav"]))
def test_samples_are_played_as_they_are_whatever_their_label_says(data: bytes, size: int, label: str) -> None:
    # Quiet sound, as every voice begins with.
    samples = (np.frombuffer(data[: len(data) & ~1], "<i2") // 64).astype("<i2").tobytes()
    assert read(samples, label, size) == samples


@given(st.binary(max_size=4000), st.lists(st.integers(1, 4000), min_size=1, max_size=5))
def test_no_bytes_raise_anything_else_and_pieces_make_no_difference(data: bytes, sizes: list[int]) -> None:
    def outcome(size: int) -> Any:
        try:
            return read(b"RIFF\0\0\0\0WAVE" + data if size % 2 else data, size=size)
        except NoPcmError as error:
            return str(error)

    for parity in (0, 1):
        found = {repr(outcome(size)) for size in sizes if size % 2 == parity}
        assert len(found) <= 1


@pytest.mark.parametrize("level", [0x2020, 0x3041, 0x7E7E])
def test_a_constant_sound_whose_bytes_are_letters_is_played(level: int) -> None:
    constant = np.full(1000, level, "<i2").tobytes()
    assert read(constant, size=100) == constant


def test_loud_samples_that_begin_like_a_frame_are_played() -> None:
    loud = np.full(9000, -1025, "<i2")
    loud[1:] = 0
    assert read(loud.tobytes(), size=100) == loud.tobytes()


@pytest.mark.parametrize("label", ["audio/wave", "audio/wav", "application/octet-stream", "audio/mpeg"])
def test_a_server_that_sends_wav_is_heard(label: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        assert await speak(emulator) == PCM

    run(scenario, speeches=[Answer([FILES["standard"][:20], FILES["standard"][20:]], label=label)])


def test_a_server_that_sends_wav_whatever_is_asked_for_is_heard() -> None:
    async def scenario(emulator: Emulator) -> None:
        assert len(await speak(emulator, "Hi.")) == 3 * RATE // 20 * 2

    run(scenario, dialect=DIALECTS["orpheus"])


@pytest.mark.parametrize("label", ["audio/pcm", "application/octet-stream"])
def test_a_server_that_sends_mp3_is_refused_with_a_sentence(label: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError, match="came as MP3, which is no raw PCM: check base_url") as caught:
            await speak(emulator)
        assert caught.value.failure == "config"

    run(scenario, speeches=[Answer([MP3], label=label)])


@pytest.mark.parametrize("steps", [[], [b""], [b"\1"]])
def test_an_answer_without_a_sound_is_a_failure(steps: list[bytes]) -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError, match="came without a sound: try again") as caught:
            await speak(emulator)
        assert caught.value.retryable

    run(scenario, speeches=[Answer(steps)])
