"""Piper as a program of its own: sentences come on standard input, their sound goes to standard output.

Piper is GPL-3.0-or-later, so it is no part of the bot's process: this file is run as a script, imports
nothing of the package that it lies in, and is talked to through its pipes alone.

Each line of input is a JSON object: `{"text": ..., "speed": ..., "speaker": ..., "volume": ...}` is spoken,
`{"stop": true}` ends the sentence that came last. Output is frames of a letter, a length (32 bits,
big-endian) and so many bytes: `R` the voice is ready (JSON), `S` sound (16-bit little-endian mono), `E` a
sentence is over, `F` it, or the voice, failed (words). It ends with its input, or with the process that
started it.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

_PIECE = 32_768
"""Bytes of sound in a frame, 0.7 s."""
_WARM_UP = "One moment, please, I am looking that up for you."
_NICE = 5
"""Steps of priority that the sound of calls has before it."""
_GLANCE = 1.0


class Sentence:
    """A sentence to speak, which may be stopped from another thread."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.stopped = False
        self._run: Any = None
        self._lock = threading.Lock()

    def begin(self, run: Any) -> bool:
        """Note the options of a run that is about to begin; False if it is not to."""
        with self._lock:
            self._run = run
            return not self.stopped

    def stop(self) -> None:
        """End it: the run of a network ends between two of its operators."""
        with self._lock:
            self.stopped = True
            if self._run is not None:
                self._run.terminate = True


class StoppedError(Exception):
    """Nobody wants the rest of a sentence."""


class Session:
    """An onnxruntime session with one thread, as Piper calls it, whose runs can be stopped."""

    def __init__(self, model: Path) -> None:
        import onnxruntime

        self._runtime = onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.inputs = {given.name for given in self._session.get_inputs()}
        self.sentence = Sentence({})

    def run(self, outputs: Any, inputs: Any) -> Any:
        """Run the network for `sentence`."""
        run = self._runtime.RunOptions()
        run.log_severity_level = 4
        if not self.sentence.begin(run):
            raise StoppedError
        return self._session.run(outputs, inputs, run)


class Voice:
    """Piper with a voice.

    Args:
        model: Its ONNX file; its settings are in a file with `.json` behind that name.
        out: Where frames go.
    """

    def __init__(self, model: Path, out: BinaryIO) -> None:
        from piper import PiperVoice
        from piper.config import PiperConfig, SynthesisConfig

        settings = json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
        self._options = SynthesisConfig
        self._out = out
        self._session = Session(model)
        wanted = {"input", "input_lengths", "scales"}
        if not wanted <= self._session.inputs <= wanted | {"sid"}:
            raise ValueError(f"its inputs are {', '.join(sorted(self._session.inputs))}")
        self._voice = PiperVoice(session=self._session, config=PiperConfig.from_dict(settings))
        self.rate = self._voice.config.sample_rate
        for _ in self.sound(Sentence({"text": _WARM_UP})):
            pass

    def sound(self, sentence: Sentence) -> Any:
        """Yield the sound of a sentence as Piper makes it."""
        self._session.sentence = sentence
        request = sentence.request
        options = self._options(
            speaker_id=request.get("speaker"),
            length_scale=self._voice.config.length_scale / request.get("speed", 1.0),
            volume=request.get("volume", 1.0),
            # Every sentence at full scale would be louder, the shorter it is.
            normalize_audio=False,
        )
        # Double brackets hold phonemes, for Piper; here they are words of a model.
        text = request["text"].replace("[[", "[ [").replace("]]", "] ]")
        for chunk in self._voice.synthesize(text, options):
            yield chunk.audio_int16_bytes

    def speak(self, sentence: Sentence) -> None:
        """Write a sentence's frames."""
        try:
            for sound in self.sound(sentence):
                for at in range(0, len(sound), _PIECE):
                    if sentence.stopped:
                        raise StoppedError
                    write(self._out, b"S", sound[at : at + _PIECE])
        except Exception as error:  # noqa: BLE001 - the voice works on, whatever was wrong with a sentence
            # A run that is stopped fails, with a class and words of onnxruntime's.
            if not sentence.stopped:
                write(self._out, b"F", f"{type(error).__name__}: {error}".encode())
                return
        write(self._out, b"E")


def write(out: BinaryIO, kind: bytes, content: bytes = b"") -> None:
    """Write a frame."""
    out.write(struct.pack(">cI", kind, len(content)) + content)
    out.flush()


def read(source: BinaryIO, sentences: queue.SimpleQueue[Sentence]) -> None:
    """Take requests until there are no more, then end at once."""
    last = Sentence({})
    for line in source:
        request = json.loads(line)
        if "stop" in request:
            last.stop()
        else:
            last = Sentence(request)
            sentences.put(last)
    os._exit(0)


def watch(owner: int) -> None:
    """End when the process that started this one is gone, though a child of it may hold the pipe."""
    while os.getppid() == owner:
        time.sleep(_GLANCE)
    os._exit(0)


def main(model: Path, owner: int) -> int:
    """Speak what is asked for until the input ends; 1 if there is no voice."""
    # What libraries print must not get between the frames.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sentences: queue.SimpleQueue[Sentence] = queue.SimpleQueue()
    threading.Thread(target=read, args=(sys.stdin.buffer, sentences), daemon=True).start()
    if hasattr(os, "nice"):
        threading.Thread(target=watch, args=(owner,), daemon=True).start()
        os.nice(_NICE)
    try:
        voice = Voice(model, out)
    except Exception as error:  # noqa: BLE001 - onnxruntime has a class of its own for each failure
        write(out, b"F", f"{type(error).__name__}: {error}".encode())
        return 1
    write(out, b"R", json.dumps({"rate": voice.rate}).encode())
    while True:
        voice.speak(sentences.get())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
