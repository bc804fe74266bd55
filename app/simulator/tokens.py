"""Words as X counts them: text is split at punctuation, symbols and blanks, in any case.

X says: "Tokenization splits on punctuation, symbols, and Unicode basic plane separator characters". Scripts that set
no blanks are split into single characters here, so that a keyword is found wherever it stands in them.
"""

from __future__ import annotations

import re
import unicodedata

# Thai and Lao, kana, Han, Hangul: written without blanks, or with particles joined to the word.
_SPACELESS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff"
# \w leaves out the vowel signs of Indic scripts. Variation selectors say only how a sign is drawn.
_MARKS = "".join(
    char
    for char in map(chr, range(0x300, 0x10000))
    if unicodedata.category(char)[0] == "M" and not "\ufe00" <= char <= "\ufe0f"
)
_EMOJI = "\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
WORD = f"\\w{_MARKS}"  # within the brackets of a pattern: what words consist of
_ALONE = f"[{_SPACELESS}{_EMOJI}]"
_TOKEN = re.compile(f"{_ALONE}|(?!{_ALONE})\\w(?:(?!{_ALONE})[{WORD}])*")


def tokens(text: str) -> list[str]:
    """The words of a text, for comparison."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text.casefold()))


def folded(text: str) -> str:
    """A name or tag for comparison."""
    return unicodedata.normalize("NFC", text.casefold())


def joined(words: list[str]) -> str:
    """Words between blanks, so that a phrase is found by looking for it between blanks."""
    return f" {' '.join(words)} "
