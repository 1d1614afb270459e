"""`Company`, frame by frame: what is the speaker's own, what is somebody else's, and what is quiet."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from fishjam_agents.audio.company import Company

SPEAKER = -20.0
SECOND = 50
QUIET, SOUND, WEAK, NEAR = "quiet", "sound", "weak", "near"


def take(company: Company, frames: Iterable[tuple[int, str]]) -> None:
    for count, kind in frames:
        for _ in range(count):
            match kind:
                case "quiet":
                    company.quiet(-40.0)
                case "sound":
                    company.quiet(-10.0)
                case "weak":
                    company.voice(SPEAKER - 12.0, SPEAKER, near=False, weak=True)
                case "near":
                    company.voice(SPEAKER, SPEAKER, near=True, weak=False)


@pytest.fixture
def alone() -> Company:
    company = Company()
    take(company, [(1, NEAR), (11 * SECOND, QUIET)])
    assert company.alone
    return company


@pytest.mark.parametrize(("frames", "anew"), [(4, False), (5, True)])
def test_a_sound_of_a_tenth_of_a_second_begins_the_wait_for_quiet_anew(frames: int, anew: bool) -> None:
    company = Company()
    take(company, [(1, NEAR), (10 * SECOND, QUIET), (frames, SOUND), (SECOND, QUIET)])
    assert company.alone is not anew
    take(company, [(9 * SECOND, QUIET)])
    assert company.alone


@pytest.mark.parametrize(("pause", "own"), [(0, True), (SECOND, False)])
def test_a_weak_voice_soon_after_the_speaker_is_theirs(alone: Company, pause: int, own: bool) -> None:
    take(alone, [(1, NEAR), (pause, QUIET), (30, WEAK), (10, QUIET), (1, NEAR)])
    assert alone.alone is own


@pytest.mark.parametrize(("frames", "own"), [(60, True), (61, False)])
def test_a_weak_voice_that_leads_to_the_speakers_is_theirs_unless_it_is_long(
    alone: Company, frames: int, own: bool
) -> None:
    take(alone, [(2 * SECOND, QUIET), (frames, WEAK), (1, NEAR)])
    assert alone.alone is own


@pytest.mark.parametrize(("gap", "own"), [(8, True), (9, False)])
def test_a_weak_voice_leads_to_the_speakers_over_short_gaps_only(alone: Company, gap: int, own: bool) -> None:
    take(alone, [(2 * SECOND, QUIET), (30, WEAK), (gap, QUIET), (20, WEAK), (1, NEAR)])
    assert alone.alone is own
