"""From entries to the conversation that goes on."""

from __future__ import annotations

from fishjam_agents.backends.conversation import BotLine, PastConversation, ToolLine, UserLine
from fishjam_agents.journal.entries import (
    BotHeard,
    BotSaid,
    HandleCame,
    InstructionsChanged,
    JournalEntry,
    ToolEnded,
    ToolIntended,
    TurnEnded,
    UserSaid,
    UserSpeaks,
    decode,
    encode,
)
from fishjam_agents.journal.recovery import recover


def recovered(*entries: JournalEntry | tuple[int, JournalEntry]) -> PastConversation:
    return recover([entry if isinstance(entry, tuple) else (1, entry) for entry in entries], 10.0)


def test_a_reply_lost_on_its_way_is_split_where_it_was_heard_to() -> None:
    found = recovered(
        TurnEnded(1, "turn-1", "p"),
        UserSaid(1, "And the weather?", "p"),
        BotSaid(2, "r", "It is sunny. "),
        BotSaid(2, "r", "Take a hat."),
        BotHeard(3, "r", "It is sunny.", 1.0),
    )
    assert found.lines == [
        UserLine("And the weather?", "p"),
        BotLine("It is sunny.", "Take a hat.", cut=True),
    ]
    assert list(found.unheard) == [found.lines[1]]
    assert (found.unanswered, found.lost) == (False, 7.0)


def test_words_after_a_tool_stand_after_it() -> None:
    said = (
        BotSaid(1, "r", "Let me look. "),
        ToolIntended(1, "a", "look_up"),
        ToolEnded(2, "a", "ok", "free"),
        BotSaid(2, "r", "It is free. Shall I book it?"),
    )
    look, tool = BotLine("Let me look."), ToolLine("a~1", "look_up", {}, "free")
    half = recovered(*said, BotHeard(3, "r", "Let me look. It is free.", 2.0))
    assert half.lines == [look, tool, BotLine("It is free.", "Shall I book it?", cut=True)]
    begun = recovered(*said, BotHeard(3, "r", "Let me", 0.4))
    assert begun.lines == [
        BotLine("Let me", "look.", cut=True),
        tool,
        BotLine("", "It is free. Shall I book it?", cut=True),
    ]
    whole = recovered(*said, BotHeard(3, "r", "Let me look. It is free. Shall I book it?", 4.0, over=True))
    assert whole.lines == [look, tool, BotLine("It is free. Shall I book it?")]


def test_what_a_user_cut_short_is_not_owed() -> None:
    found = recovered(
        BotSaid(2, "r", "It is sunny. Take a hat."), BotHeard(3, "r", "It is", 0.4, over=True, cut=True)
    )
    assert found.lines == [BotLine("It is", cut=True)]
    assert not found.unheard


def test_a_reply_that_was_not_heard_at_all_is_owed_whole() -> None:
    found = recovered(BotSaid(2, "r", "Hello there."))
    assert found.lines == [BotLine("", "Hello there.", cut=True)]
    assert found.unheard


def test_ids_of_two_processes_are_not_mixed_up() -> None:
    found = recovered(
        BotSaid(1, "reply-0-1", "One. Two."),
        BotHeard(1, "reply-0-1", "One.", 1.0),
        (2, BotSaid(2, "reply-0-1", "Two.")),
        (2, BotHeard(3, "reply-0-1", "Two.", 1.0, over=True)),
    )
    # The second process was told what had not been heard, and has said it.
    assert found.lines == [BotLine("One.", cut=True), BotLine("Two.")]
    assert not found.unheard


def test_a_second_loss_before_the_rest_was_said_still_owes_it() -> None:
    found = recovered(
        BotSaid(1, "r", "One. Two."), BotHeard(1, "r", "One.", 1.0), (2, InstructionsChanged(2, "Be kind."))
    )
    assert [line.unheard for line in found.unheard] == ["Two."]
    assert found.instructions == "Be kind."


def test_a_turn_without_words_is_told_as_such() -> None:
    found = recovered(TurnEnded(1, "turn-1", "p"))
    assert (found.unanswered, found.unworded, found.lines) == (True, True, [])


def test_half_a_turn_is_told_with_the_words_that_came() -> None:
    begun, some = UserSpeaks(1, "p"), UserSpeaks(2, "p", "I would like")
    assert recovered().half is None
    assert recovered(begun).half == ""
    assert recovered(begun, some).half == "I would like"
    assert recovered(begun, some, UserSpeaks(2, "q", "Me too")).half == "I would like Me too"
    for end in (
        UserSpeaks(3, "p", over=True),
        TurnEnded(3, "t", "p"),
        UserSaid(3, "Tea", "p"),
        BotSaid(3, "r", "Yes"),
    ):
        assert recovered(begun, some, end).half is None


def test_tools_without_a_result_are_unknown() -> None:
    intended = [ToolIntended(1, call, "book", {"seat": 1}) for call in ("a", "b", "c")]
    found = recovered(*intended, ToolEnded(2, "a", "ok", "done"), ToolEnded(2, "b", "cancelled"))
    assert found.lines == [
        ToolLine("a~1", "book", {"seat": 1}, "done"),
        ToolLine("b~1", "book", {"seat": 1}),
        ToolLine("c~1", "book", {"seat": 1}),
    ]
    assert [line.call for line in found.unknown] == ["b~1", "c~1"]
    assert found.unanswered


def test_a_tool_that_was_run_again_has_one_line_and_its_answer() -> None:
    found = recovered(
        ToolIntended(1, "a", "look_up", {}),
        (2, ToolIntended(2, "again-a~1", "look_up", {}, again="a~1")),
        (2, ToolEnded(3, "again-a~1", "ok", "found")),
    )
    assert found.lines == [ToolLine("a~1", "look_up", {}, "found")]


def test_a_tool_whose_outcome_was_told_as_unknown_is_not_told_again() -> None:
    found = recovered(ToolIntended(1, "a", "book"), (2, ToolEnded(2, "a~1", "unknown", "nobody knows")))
    assert not found.unknown


def test_a_handle_knows_the_lines_before_it() -> None:
    found = recovered(
        UserSaid(1, "One", None),
        HandleCame(5, "Gemini", "h1"),
        UserSaid(6, "Two", None),
    )
    assert (found.handle, found.handle_of, found.handle_age, found.handle_lines) == ("h1", "Gemini", 5.0, 1)


def test_whatever_a_model_writes_can_be_written() -> None:
    half = ToolIntended(1.0, "a", "book", {"name": "\ud83d", "nan": float("nan")})
    read = decode("tool_intended", 1.0, encode(half))
    assert isinstance(read, ToolIntended)
    assert read.arguments["name"] == "\ud83d"
    endless: dict[str, object] = {}
    endless["self"] = endless
    assert decode("tool_intended", 1.0, encode(ToolIntended(1.0, "a", "book", endless))) == ToolIntended(1.0)


def test_entries_of_other_releases_are_read_as_far_as_they_are_known() -> None:
    entry = UserSaid(1.5, "Grüße", "p")
    assert decode("user_said", 1.5, encode(entry)) == entry
    assert decode("user_said", 1.5, b'{"text":"x","mood":"good"}') == UserSaid(1.5, "x")
    assert decode("user_sang", 1.5, b"{}") is None
