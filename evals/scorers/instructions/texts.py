"""Instructions about the text as a whole: its case, its commas, its language.

The language is told by script and by common words and letters, not by a trained model: sure enough for an answer of
some sentences, not for a few words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

_SCRIPTS: Mapping[str, str] = {
    "th": "THAI", "ta": "TAMIL", "te": "TELUGU", "ko": "HANGUL", "he": "HEBREW", "kn": "KANNADA", "gu": "GUJARATI",
    "pa": "GURMUKHI", "ml": "MALAYALAM", "bn": "BENGALI", "el": "GREEK",
    "hi": "DEVANAGARI", "mr": "DEVANAGARI", "ne": "DEVANAGARI",
    "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC",
    "ar": "ARABIC", "ur": "ARABIC", "fa": "ARABIC",
}  # fmt: skip
_WORDS: Mapping[str, str] = {
    "en": "the and of to in is that it for was with as are this be on you have from at by an not we his they which",
    "de": "der die das und ist nicht ein eine ich mit den von zu sich auf für dem im es sie auch wird sind bei",
    "fr": "le la les des et est une dans que qui pour pas sur avec ce il au plus nous vous du sont cette ces",
    "es": "el la los las de que y en un una es por con para se no su al lo como más pero del sus este",
    "pt": "o a os as de que e em um uma é por com para se não do da no na mais como mas ao dos das são você",
    "it": "il lo la i gli le di che e in un una è per con non si del della sono come più ma nel alla questo",
    "fi": "ja on ei se että hän oli joka mutta myös kun niin ovat tämä sen voi olla kuin tai mitä",
    "pl": "i w na nie się że z to jest do jak o po co ale są przez dla od przy może tego być",
    "vi": "và của là có không được trong một cho với các người này đã những để khi như cũng",
    "sw": "na ya wa kwa ni katika la za kuwa hii hiyo watu cha kama lakini pia yake au sana",
    "hi": "है के में की और का को से हैं यह पर नहीं एक कि इस था भी हो लिए",
    "mr": "आहे आणि या ते च्या होते करण्यात हे त्या मध्ये आहेत एक पण नाही केले",
    "ne": "छ र को मा हो छन् गर्न पनि लागि यो थियो एक भएको तथा गरेको",
    "ru": "и в не на что он с как это по но из у за от так же для вы его был все",
    "uk": "і в не на що він з як це до але та у за від так й для є його був ви які",
    "bg": "и на да се в за не от е с са като по но че до това който той му ще",
    "ar": "في من على إلى أن التي الذي هذا هذه كان عن مع ما لا هو هي قد كما",
    "ur": "کے میں ہے کی اور سے کا کو اس نے پر ہیں یہ کہ ہو بھی نہیں ایک",
    "fa": "و در به از که این را با است برای آن یک می شود خود تا هم بر بود",
}  # fmt: skip
_WORD_SETS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
LANGUAGES = frozenset({*_SCRIPTS, *_WORDS, "ja", "zh"})


def language_of(text: str) -> str:
    """The language of `text`, of those that are known; empty where it has no letters."""
    scripts = Counter(
        unicodedata.name(char, "").partition(" ")[0] for char in text if unicodedata.category(char)[0] == "L"
    )
    if not scripts:
        return ""
    # A text in Japanese has kana among its ideographs; one in Chinese has none.
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * scripts.total():
        return "ja"
    script = max(scripts, key=lambda name: scripts[name])
    if script == "CJK":
        return "zh"
    candidates = [each for each, name in _SCRIPTS.items() if name == script]
    if script == "LATIN":
        candidates = [each for each in _WORDS if each not in _SCRIPTS]
    if len(candidates) < 2:
        return candidates[0] if candidates else ""
    words = (
        Counter(re.findall(r"[^\W\d_]+(?:[\u0900-\u094f]*)*", text.lower()))
        if script != "DEVANAGARI"
        else (Counter(re.split(r"[\s।,.!?]+", text)))
    )
    return max(candidates, key=lambda each: sum(words[word] for word in _WORD_SETS[each]))


def _language(text: str, said: Mapping[str, Any]) -> bool:
    wanted = said["language"].lower().split("-")[0]
    if wanted not in LANGUAGES:
        raise ValueError(f"the language {wanted!r} cannot be told")
    return language_of(text) == str(wanted)


def _capital(text: str, said: Mapping[str, Any]) -> bool:
    return text.isupper()


def _lower(text: str, said: Mapping[str, Any]) -> bool:
    return text.islower()


def _no_comma(text: str, said: Mapping[str, Any]) -> bool:
    return "," not in text


CHECKS: Mapping[str, Any] = {
    "language:response_language": _language,
    "change_case:english_capital": _capital,
    "change_case:english_lowercase": _lower,
    "punctuation:no_comma": _no_comma,
}
