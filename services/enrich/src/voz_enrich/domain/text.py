"""What of a text is read: the same cleaning when a model is trained and when it answers."""

import re

MAX_CHARACTERS = 4_000
"""Read of one text after cleaning: far more than a model's tokens, so that only the time is bounded."""

_MAX_RAW_CHARACTERS = 50_000  # looked at for something to read: a page of blank lines may come first
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\b[\w.+-]{1,64}@[\w-]{1,255}\.[\w.-]{2,255}", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)@\w{1,100}(?:@[\w.-]{1,255})?")
_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\s]+")
# Soft hyphens, zero-width and bidirectional characters, tags: between the letters of a word they only hide it. Joiners
# stay: emoji and some scripts are written with them.
_HIDDEN = re.compile(
    r"[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
# No language puts more than two of these on a letter.
_ACCENT = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_PILED = re.compile(f"({_ACCENT}{{2}}){_ACCENT}+")


def cleaned(text: str) -> str:
    """The text without characters that can't be seen, with control characters, lone surrogates and runs of space as one
    space, at most two accents on a letter, links and e-mail addresses as `http`, handles as `@user`, cut to
    MAX_CHARACTERS. Takes bounded time, whatever the text. Empty when nothing in it can be read."""
    seen = _visible(text)[: 2 * MAX_CHARACTERS]
    return _HANDLE.sub("@user", _ADDRESS.sub("http", seen)).strip()[:MAX_CHARACTERS]


def words_of(text: str) -> str:
    """The words that tell a language: without links, addresses, handles, hashtags, numbers and signs."""
    plain = _HANDLE.sub(" ", _ADDRESS.sub(" ", _visible(text)[:MAX_CHARACTERS]))
    kept = (word for word in plain.split() if word[0] != "#" and any(letter.isalpha() for letter in word))
    return " ".join(kept)


def _visible(text: str) -> str:
    return _PILED.sub(r"\1", _BLANK.sub(" ", _HIDDEN.sub("", text[:_MAX_RAW_CHARACTERS])))
