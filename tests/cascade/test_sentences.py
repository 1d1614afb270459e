"""From a model's words to sentences that can be spoken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends.cascade.sentences import Sentences, speakable


def spoken(*pieces: str) -> list[str]:
    sentences = Sentences()
    found = [sentence for piece in pieces for sentence in sentences.feed(piece)]
    return found + sentences.flush()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("It is 3.5 km to Dr. Smith, e.g. by car. Go!", ["It is 3.5 km to Dr. Smith, e.g. by car.", "Go!"]),
        ("No. I will not.", ["No.", "I will not."]),
        ('He said "stop!" Then he left.', ['He said "stop!"', "Then he left."]),
        ("# Title\n- one\n- two\n1. three", ["Title", "one", "two", "1. three"]),
        ("**Bold** and _soft_ and `code` and ~~gone~~.", ["Bold and soft and code and gone."]),
        ("See [the docs](https://example.org/a.b?c). Done.", ["See the docs.", "Done."]),
        ("Fine 😀👍🏽! Good 🇩🇪.", ["Fine !", "Good ."]),
        ("Look:\n```python\nprint('a. b. c')\n```\nThat was it.", ["Look:", "That was it."]),
        ("<think>Is that so. Yes.</think>It is.", ["It is."]),
        ("Before <think>unfinished", ["Before"]),
        ("**Mind this. And that.** Done.", ["Mind this.", "And that.", "Done."]),
        ("a snake_case word, 2*3 and `code. Still` so.", ["a snake_case word, 2*3 and code.", "Still so."]),
        ("One<br>two <b>bold</b>, 1 < 2 > 0.", ["One two bold, 1 < 2 > 0."]),
        ("<thinking>So.</thinking>Yes. <reasoning>No. </think></reasoning>Or no.", ["Yes.", "Or no."]),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", ["a b", "1 2"]),
        (
            "He said \u300c\u306f\u3044\u3002\u300d\u305d\u3046\u3002",
            ["He said \u300c\u306f\u3044\u3002\u300d", "\u305d\u3046\u3002"],
        ),
        ("2 * 3 * 4 is 24.", ["2 * 3 * 4 is 24."]),
        # A Japanese full stop and question mark, with no space after them.
        ("今日は。元気ですか\uff1fはい。", ["今日は。", "元気ですか\uff1f", "はい。"]),
        ("42. That is it. 2*3*4 is 24.", ["42. That is it.", "2*3*4 is 24."]),
        ("1. Figs\n2) Pears\n- [x] Plums\n* **Nuts:** two", ["1. Figs", "2) Pears", "Plums", "Nuts: two"]),
        ("Set my_own_name at https://a.org/b_c_d. Ok?", ["Set my_own_name at https://a.org/b_c_d.", "Ok?"]),
        ("At 5 p.m. in the U.S. Senate. J. Doe spoke.", ["At 5 p.m. in the U.S. Senate.", "J. Doe spoke."]),
        ("See [it](https://a.org/b_(c)). Well... yes.", ["See it.", "Well...", "yes."]),
        ("这是**重点**。好", ["这是重点。", "好"]),
        ("مرحبا. كيف حالك\u061f بخير.", ["مرحبا.", "كيف حالك\u061f", "بخير."]),
        ("नमस्ते\u0964 आप कैसे हैं?", ["नमस्ते\u0964", "आप कैसे हैं?"]),
        ("</think>So be it.<|im_end|>", ["So be it."]),
        ("***\n😀\n...", []),
        ("", []),
    ],
)
def test_text_is_spoken_as_sentences(text: str, sentences: list[str]) -> None:
    assert spoken(text) == sentences


def test_a_sentence_is_given_as_soon_as_it_is_over() -> None:
    sentences = Sentences()
    assert sentences.feed("Hello the") == []
    assert sentences.feed("re. And") == ["Hello there."]
    assert sentences.flush() == ["And"]


def test_text_without_an_end_is_spoken_at_a_comma_before_it_becomes_long() -> None:
    sentences = Sentences()
    first = sentences.feed("word " * 70 + "and then, " + "word " * 30)
    assert len(first) == 1
    assert first[0].endswith("and then,")
    assert sentences.flush() == [("word " * 30).strip()]
    # Chinese has no spaces.
    assert sentences.feed("字" * 300 + "\uff0c" + "字" * 200) == ["字" * 300 + "\uff0c"]


TEXTS = st.lists(
    st.sampled_from(
        [
            "Hello. ",
            "yes",
            "<think>",
            "secret ",
            "</think>",
            "```",
            "code. ",
            "\n",
            "3.5 ",
            "**a**",
            "! ",
            "<",
            "th",
            "`",
            "\u3002",
            "\uff01",
            "\u300d",
            '"',
            ", ",
            "word " * 50,
            "x" * 250,
            "e.g. ",
            "</reasoning>",
            "<reasoning>",
        ]
    ),
    max_size=12,
).map("".join)


@given(TEXTS, st.data())
def test_sentences_do_not_depend_on_how_the_text_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert spoken(*pieces) == spoken(*text) == spoken(text)


QUIET = st.sampled_from(
    [
        "<think>{}</think>",
        "<reasoning>{}. </reasoning>",
        "```python\n{}\n```\n",
        "\n---\n",
        "\U0001f600 ",
        "\U0001f44d\U0001f3fd ",
        "\u2728 ",
    ]
)
SPOKEN = st.sampled_from(
    [
        "**{}** ",
        "*{}* ",
        "`{}` ",
        "\n# {}\n",
        "\n- {}\n",
        "\n> {}\n",
        "~~{}~~ ",
        "{}. ",
        "{}, ",
        "**{}. {}** ",
    ]
)


@given(st.lists(st.tuples(st.booleans(), QUIET, SPOKEN), max_size=12), st.data())
def test_reasoning_markdown_and_emoji_are_never_spoken_however_they_come(
    parts: list[tuple[bool, str, str]], data: st.DataObject
) -> None:
    text = "".join(
        quiet.format("secret") if hidden else loud.format("fish", "fish") for hidden, quiet, loud in parts
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    said = " ".join(spoken(*pieces))
    assert "secret" not in said
    assert set(said) <= set("fish ,.")
    assert said.count("fish") == sum(loud.count("{}") for hidden, _, loud in parts if not hidden)


@given(st.text())
def test_what_is_speakable_is_speakable_again(text: str) -> None:
    once = speakable(text)
    assert "\n" not in once
    assert speakable(speakable(once)) == speakable(once)
