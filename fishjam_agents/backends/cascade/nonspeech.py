"""Texts of recognisers for sounds that are no words, and those made up where nothing was said.

Whisper and its kin were trained on subtitles: they write noises in brackets, music as notes, and on silence
what subtitles end with (Koenecke et al., "Careless Whisper: Speech-to-Text Hallucination Harms", FAccT 2024).
"""

# ruff: noqa: RUF001 - other scripts have signs that look like ours
from __future__ import annotations

import re
import unicodedata

import numpy as np

from fishjam_agents.audio.samples import Samples

_TOKEN = re.compile(r"<\|[^|<>]{0,40}\|>")
_BRACKETS = r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}|\*[^*]+\*|<[^<>]*>|【[^【】]*】|（[^（）]*）|［[^［］]*］"
_NOTES = "\u2669\u266a\u266b\u266c\U0001f3b5\U0001f3b6"
_GROUP = re.compile(rf"{_BRACKETS}|[{_NOTES}][^{_NOTES}]*[{_NOTES}]")
_SOUNDS = re.compile(
    r"blank[ _]audio|no[ _]?(?:speech|audio)|silen(?:ce|t)|inaudible|unintelligible|indistinct|crosstalk"
    r"|foreign|music|singing|applau|clapping|cheer|laugh|chuckl|giggl|cough|sneez|sniff|sigh|breath|gasp"
    r"|yawn|snor|groan|cry|sob|scream|whistl|hum(?:s|ming)|noise|static|beep|click|typing|ring(?:s|ing)|buzz|bell|bark"
    r"|meow|knock|footstep|door|wind|rain|engine|siren|sound|pause|musik|gelächter|applaus|rires?|musique|risas|música"
    r"|музыка|смех|аплодисменты|音楽|笑|拍手|音乐|笑声|掌声|음악|웃음|박수",
    re.IGNORECASE,
)
_OF_FILMS = """
    thank you for watching; thanks for watching; thank you so much for watching;
    thank you very much for watching; thank you all for watching; thanks so much for watching;
    thank you for watching this video; thanks for watching this video; please subscribe;
    please subscribe to my channel; subscribe to my channel; please like and subscribe;
    like and subscribe; dont forget to like and subscribe; thank you for watching please subscribe;
    see you in the next video; ill see you in the next video;
    vielen dank fürs zuschauen; danke fürs zuschauen; vielen dank für die aufmerksamkeit;
    merci davoir regardé; merci davoir regardé cette vidéo; abonnezvous; gracias por ver el video;
    gracias por ver; suscríbete al canal; suscríbete; obrigado por assistir; grazie per la visione;
    bedankt voor het kijken; tack för att ni tittade; dziękuję za uwagę; dziękuję za oglądanie;
    dzięki za oglądanie; děkuji za pozornost; спасибо за просмотр; продолжение следует;
    подписывайтесь на канал; дякую за перегляд; izlediğiniz için teşekkürler;
    izlediğiniz için teşekkür ederim; اشتركوا في القناة; ご視聴ありがとうございました;
    ご清聴ありがとうございました; チャンネル登録をお願いいたします; 谢谢观看; 感谢观看; 谢谢大家观看;
    請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目; 请不吝点赞 订阅 转发 打赏支持明镜与点点栏目;
    시청해주셔서 감사합니다; 구독과 좋아요 부탁드립니다; cảm ơn các bạn đã theo dõi;
    hãy subscribe cho kênh; terima kasih telah menonton
"""
_ENDINGS = frozenset(" ".join(phrase.split()) for phrase in _OF_FILMS.split(";"))
"""Endings of films, which nobody says to a bot."""
_CREDITS = re.compile(
    r"amara ?org|castingwords|opensubtitles|zeoranger|mooji ?org|dimatorzok|otter ?ai\b"
    r"|^(?:subtitles|captions|transcription|transcribed|subs|translated|untertitel|sous ?titr\w*|subtítulos"
    r"|legendas|sottotitoli|ondertiteling|undertexter|napisy|titulky|altyazı|субтитры|субтитри|字幕) ?"
    r"(?:by|von|im auftrag|der|réalis|par|realiz|por|pela|creati|a cura|av|stworz|vytv|m k|сделал"
    r"|создавал|redakt)"
)
_SHORT = frozenset({"thank you", "thank you very much", "you", "see you next time", "to be continued"})
"""Texts made up of silence as often as they are said: the level decides."""
_FRAME = 320
_SILENT = 100.0
"""Root mean square of 20 ms below which nobody speaks: -50 dBFS, 20 dB below quiet speech."""


def spoken_words(text: str, audio: Samples) -> str:
    """The words of a transcript; empty where nobody has said any.

    Args:
        text: What a recogniser has understood.
        audio: What it has understood it of: int16 mono at 16 kHz, shape (n,).
    """
    given, text = text, _TOKEN.sub(" ", text)
    rest = _GROUP.sub(lambda found: found.group() if _is_number(found.group()) else " ", text)
    if not _has_words(rest):
        return ""
    # Beside words only what is known as a sound is left out: people read out what stands in brackets, too.
    text = _GROUP.sub(lambda found: " " if _SOUNDS.search(found.group()) else found.group(), text)
    text = given.strip() if text == given else " ".join(text.split())
    text = text.strip(f" {_NOTES}")
    plain = _plain(text)
    if plain in _ENDINGS or _CREDITS.search(plain) or (plain in _SHORT and _is_silent(audio)):
        return ""
    return text


def _is_number(group: str) -> bool:
    """Return whether brackets hold a number, as those of an area code."""
    inside = group[1:-1].strip()
    return bool(inside) and not any(sign.isalpha() for sign in inside) and any(map(str.isdigit, inside))


def _has_words(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _plain(text: str) -> str:
    """A text in small letters, without punctuation."""
    folded = unicodedata.normalize("NFC", text).lower()
    signs = (
        "" if sign in "'\u2019-" else sign if sign.isalnum() or _is_mark(sign) else " " for sign in folded
    )
    return " ".join("".join(signs).split())


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign).startswith("M")


def _is_silent(audio: Samples) -> bool:
    whole = len(audio) // _FRAME * _FRAME
    if not whole:
        return True
    frames = audio[:whole].astype(np.float32).reshape(-1, _FRAME)
    return bool(np.sqrt((frames**2).mean(axis=1)).max() < _SILENT)
