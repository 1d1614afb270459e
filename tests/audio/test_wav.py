import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fishjam_agents.audio.wav import load_speech, read_wav, write_wav
from fishjam_agents.errors import AudioError

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")
FLOAT_GUID = bytes.fromhex("0300000000001000800000aa00389b71")
SOUND = struct.pack("<4h", 1, -2, 300, -32768)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) & 1)


def fmt(encoding: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16, more: bytes = b"") -> bytes:
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", encoding, channels, rate, rate * block, block, bits) + more)


def riff(*chunks: bytes, kind: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if size is None else size) + body


def extensible(guid: bytes) -> bytes:
    return fmt(0xFFFE, more=struct.pack("<HHI", 22, 16, 4) + guid)


GOOD = {
    "plain": riff(fmt(), chunk(b"data", SOUND)),
    "with a LIST chunk of odd length": riff(fmt(), chunk(b"LIST", b"INFOx"), chunk(b"data", SOUND)),
    "with a LIST chunk behind": riff(fmt(), chunk(b"data", SOUND), chunk(b"LIST", b"INFO")),
    "extensible": riff(extensible(PCM_GUID), chunk(b"data", SOUND)),
    "ending in half a sample": riff(fmt(), chunk(b"data", SOUND + b"\x7f")),
    "longer by its header than it is": riff(fmt(), chunk(b"data", SOUND, 0xFFFFFFFF), size=0xFFFFFFFF),
    "streamed by a recorder that left zeros": riff(fmt(), chunk(b"data", SOUND, 0), size=0),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_tolerable_files_are_read(content, tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    clip = read_wav(path)
    assert clip.sample_rate == 16000
    assert clip.samples.dtype == np.int16
    assert clip.samples.tolist() == [1, -2, 300, -32768]
    assert clip.seconds == 4 / 16000


BAD = {
    "is empty: record": b"",
    "is not a WAV file: convert it with: sox": b"\xff\xfb\x90 an mp3 file, say",
    "is not a WAV file": b"RIFF\x04\0\0\0AVI ",
    "is an RF64 file": riff(fmt(), chunk(b"data", SOUND), kind=b"RF64"),
    "holds no sound: record": riff(fmt(), chunk(b"data", b"")),
    "holds no sound": riff(fmt()),
    "holds no sound: record it again, or": riff(fmt(channels=2), chunk(b"data", b"\1\2\3")),
    "has no format before its sound": riff(chunk(b"data", SOUND), fmt()),
    "has a damaged header": riff(chunk(b"fmt ", b"\1\0")),
    "holds 8-bit sound, not 16-bit PCM: convert it with: sox": riff(fmt(bits=8), chunk(b"data", SOUND)),
    "holds 24-bit sound": riff(fmt(bits=24), chunk(b"data", SOUND)),
    "holds 32-bit sound": riff(fmt(bits=32), chunk(b"data", SOUND)),
    "holds 32-bit floating point sound": riff(fmt(3, bits=32), chunk(b"data", SOUND)),
    "holds 16-bit floating point sound": riff(extensible(FLOAT_GUID), chunk(b"data", SOUND)),
    "holds u-law sound": riff(fmt(7, bits=8), chunk(b"data", SOUND)),
    "holds encoding 0x1234 sound": riff(fmt(0x1234), chunk(b"data", SOUND)),
    "has 6 channels, not 1 or 2": riff(fmt(channels=6), chunk(b"data", SOUND * 3)),
    "claims a sample rate of 0 Hz": riff(fmt(rate=0), chunk(b"data", SOUND)),
}


@pytest.mark.parametrize(("message", "content"), BAD.items(), ids=BAD)
def test_unusable_files_are_refused_with_one_sentence(message, content, tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read_wav(path)
    text = str(caught.value)
    assert text.startswith(f"{path} {message}")
    assert ": " in text
    assert "\n" not in text


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(AudioError, match=r"No such file or directory\): check the path"):
        read_wav(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="Is a directory"):
        read_wav(tmp_path)
    with pytest.raises(AudioError, match="check the folder"):
        write_wav(tmp_path / "no" / "folder.wav", np.zeros(1, np.int16), 16000)


@given(cut=st.integers(0, 80), noise=st.binary(max_size=40))
def test_truncated_and_damaged_files_raise_nothing_but_audio_error(tmp_path_factory, cut, noise):
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    whole = riff(extensible(PCM_GUID), chunk(b"LIST", b"INFO"), chunk(b"data", SOUND))
    path.write_bytes(whole[:cut] + noise)
    with contextlib.suppress(AudioError):
        assert read_wav(path).samples.size


@given(
    samples=arrays(np.int16, st.one_of(st.integers(1, 50), st.tuples(st.integers(1, 50), st.just(2)))),
    rate=st.integers(1, 192000),
)
def test_what_is_written_is_read_back(tmp_path_factory, samples, rate):
    path = tmp_path_factory.getbasetemp() / "written.wav"
    write_wav(path, samples, rate)
    clip = read_wav(path)
    assert clip.sample_rate == rate
    np.testing.assert_array_equal(clip.samples, samples)


def test_mono_is_the_mean_of_the_channels_without_overflow(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([[32767, 32767], [-32768, -32768], [10, 20]], np.int16), 8000)
    assert read_wav(tmp_path / "a.wav").mono().tolist() == [32767, -32768, 15]


@pytest.mark.parametrize(
    "name", ["rate_8000", "rate_24000", "rate_44100", "rate_48000", "stereo", "odd_byte"]
)
def test_one_sentence_in_any_shape_loads_as_the_same_speech(name):
    wanted = load_speech(FIXTURES / "rate_16000.wav", 16000).astype(float)
    loaded = load_speech(FIXTURES / f"{name}.wav", 16000).astype(float)
    assert abs(len(loaded) - len(wanted)) <= 2
    length = min(len(loaded), len(wanted))
    assert np.corrcoef(loaded[:length], wanted[:length])[0, 1] > 0.9
