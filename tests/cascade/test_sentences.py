"""From a model's words to sentences that can be spoken."""

# ruff: noqa: RUF001 - other scripts have signs that look like ours
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
        ("你好!今天天气怎么样?很好", ["你好!", "今天天气怎么样?", "很好"]),
        ("我们走吧……你觉得呢？走", ["我们走吧……", "你觉得呢？", "走"]),
        ("嗯...好的.那就这样", ["嗯...", "好的.", "那就这样"]),
        ("Hello!你好,Node.js很好。", ["Hello!", "你好,Node.js很好。"]),
        ("ﾊｲ｡ｿｳﾃﾞｽ｡", ["ﾊｲ｡", "ｿｳﾃﾞｽ｡"]),
        ("「はい！」と言った‼行こう", ["「はい！」", "と言った‼", "行こう"]),
        ("３．５キロです。１．りんご", ["３．５キロです。", "１．りんご"]),
        ("안녕하세요.반갑습니다! 네", ["안녕하세요.", "반갑습니다!", "네"]),
        ("كيف حالك؟\u200f بخير۔شكرا", ["كيف حالك؟\u200f", "بخير۔", "شكرا"]),
        ("Բարև։ Ինչպե՞ս եք: Լավ։", ["Բարև։", "Ինչպե՞ս եք:", "Լավ։"]),
        ("မင်္ဂလာပါ။နေကောင်းလား။", ["မင်္ဂလာပါ။", "နေကောင်းလား။"]),
        ("សួស្តី។\u200bសុខសប្បាយទេ៕", ["សួស្តី។", "សុខសប្បាយទេ៕"]),
        ("ሰላም። እንዴት ነህ፧ደህና፡፡ ነኝ", ["ሰላም።", "እንዴት ነህ፧", "ደህና፡፡", "ነኝ"]),
        ("नमस्ते।आप कैसे हैं॥ठीक", ["नमस्ते।", "आप कैसे हैं॥", "ठीक"]),
        ("བཀྲ་ཤིས།བདེ་ལེགས།", ["བཀྲ་ཤིས།", "བདེ་ལེགས།"]),
        ("Τι κάνεις; Καλά· εσύ; Ναι", ["Τι κάνεις;", "Καλά· εσύ;", "Ναι"]),
        ("สวัสดีครับ วันนี้ 2 คน ยินดีครับ", ["สวัสดีครับ", "วันนี้ 2 คน ยินดีครับ"]),
        ("Привет!Как дела?Хорошо", ["Привет!", "Как дела?", "Хорошо"]),
        ("«Ja.» Dann ›Nein.‹ Gut", ["«Ja.»", "Dann ›Nein.‹", "Gut"]),
        ("See [Where is it? Here.](https://a.b/c?d=1) now. Ok", ["See Where is it? Here. now.", "Ok"]),
        ('A [b](https://a.b "Why? So.") so. D', ["A b so.", "D"]),
        ("![A cat? No.](cat.png)Yes. No [1][x]. So [2. that", ["A cat? No.Yes.", "No 1.", "So [2. that"]),
        ('<a href="/x" title="So? Yes.">It</a> is. Ok', ["It is.", "Ok"]),
        ("Look at [the docs](https://a.b/c", ["Look at the docs"]),
        ("It is so【4:0†source】. Yes", ["It is so.", "Yes"]),
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
            "[",
            "](",
            ")",
            "[THINK]",
            "[/THINK]",
            "<|channel|>",
            "analysis",
            "<|message|>",
            "<|end|>",
            "final",
            "字",
            "?",
            "…",
            "สวัสดีครับ ",
            "؟\u200f",
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
        "[THINK]{}. [/THINK]",
        "<thought>{}? </thought>",
        "<THINK type='deep'>{}</Think >",
        "<seed:think>{}</seed:think>",
        "<|START_THINKING|>{}<|END_THINKING|>",
        "<|begin_of_thought|>{}<|end_of_thought|>",
        "<|channel>thought\n{}<channel|>",
        "\u25c1think\u25b7{}\u25c1/think\u25b7",
        "<|channel|>analysis<|message|>{}.\n\n{}<|end|><|start|>assistant<|channel|>final<|message|>",
        '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{{"a": "{}"}}<|call|>',
        '<tool_call>\n{{"name": "{}"}}\n</tool_call>',
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
        quiet.format("secret", "secret") if hidden else loud.format("fish", "fish")
        for hidden, quiet, loud in parts
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("analysisThe user greets. I greet.assistantfinalHello there.", ["Hello there."]),
        ("analysis of the text: fine.", ["analysis of the text: fine."]),
        ("<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nsecret", ["Hello."]),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>", ["Hello."]),
        ("<\uff5cAssistant\uff5c>Hello.<\uff5cend\u2581of\u2581sentence\uff5c>", ["Hello."]),
        ("<|channel|>analysis<|message|>never ends", []),
        ("<think/>Yes [thinking] no. <thinker> is.", ["Yes [thinking] no.", "<thinker> is."]),
        ("[/THINK]Yes.</thought> No.", ["Yes.", "No."]),
        ("1 < 2 and [A] or [B.\nIs so.", ["1 < 2 and [A] or [B.", "Is so."]),
    ],
)
def test_what_a_template_leaves_in_the_text_is_not_spoken(text: str, said: list[str]) -> None:
    assert spoken(text) == spoken(*text) == said


def test_thai_is_cut_at_a_space_when_it_has_become_long() -> None:
    words = "วันนี้อากาศดี "
    sentences = spoken(words * 12)
    assert len(sentences) > 2
    assert all(35 < len(sentence) < 80 for sentence in sentences[:-1])
    assert " ".join(sentences) == (words * 12).strip()
