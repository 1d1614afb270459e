"""What is replaced in aiortc is there, and used as it was read: another version fails here, not in a call."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version

import aioice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcconfiguration import RTCBundlePolicy

from fishjam_agents.server.webrtc.tracks import BUFFER, KEYFRAME


@pytest.fixture
def connection() -> RTCPeerConnection:
    async def make() -> RTCPeerConnection:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        pc.addTransceiver("audio")
        pc.addTransceiver("video")
        return pc

    return asyncio.run(make())


def test_it_is_the_version_that_was_read() -> None:
    assert version("aiortc").startswith("1.16.")


def test_a_receiver_has_the_buffer_that_is_replaced(connection: RTCPeerConnection) -> None:
    for receiver in connection.getReceivers():
        assert isinstance(getattr(receiver, BUFFER), JitterBuffer)
    source = inspect.getsource(RTCRtpReceiver)
    assert "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)" in source
    assert "JitterBuffer(capacity=512, is_video=True)" in source


def test_a_sender_asks_for_key_frames_by_the_method_that_is_replaced(connection: RTCPeerConnection) -> None:
    assert callable(getattr(connection.getSenders()[0], KEYFRAME))
    assert "self._send_keyframe()" in inspect.getsource(RTCRtpSender)
    assert connection.getSenders()[0]._stream_id


def test_a_transport_gathers_by_the_method_that_is_replaced(connection: RTCPeerConnection) -> None:
    gatherer = connection.getTransceivers()[0].receiver.transport.transport.iceGatherer
    assert isinstance(gatherer._connection, aioice.Connection)
    parameters = inspect.signature(aioice.Connection.get_component_candidates).parameters
    assert list(parameters) == ["self", "component", "addresses", "timeout"]
    source = inspect.getsource(aioice.Connection.gather_candidates)
    assert "self.get_component_candidates(component=component, addresses=addresses)" in source


def test_candidates_that_are_no_names_are_added_at_once() -> None:
    source = inspect.getsource(aioice.Connection.add_remote_candidate)
    assert source.count("await") == 2
    assert source.index("is_mdns_hostname") < source.index("await")
