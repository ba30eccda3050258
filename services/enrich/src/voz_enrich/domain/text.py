"""What of a text is read: the same cleaning when a model is trained and when it answers."""

import re

MAX_CHARACTERS = 4_000
"""Read of one text after cleaning: far more than a model's tokens, so that only the time is bounded."""

_MAX_RAW_CHARACTERS = 50_000  # looked at for something to read: a page of blank lines may come first
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\b[\w.+-]{1,64}@[\w-]{1,255}\.[\w.-]{2,255}", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)@\w{1,100}(?:@[\w.-]{1,255})?")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff\s]+")


def cleaned(text: str) -> str:
    """The text with control and zero-width characters, lone surrogates and runs of space as one space, links and e-mail
    addresses as `http`, handles as `@user`, cut to MAX_CHARACTERS. Takes bounded time, whatever the text. Empty when
    nothing in it can be read."""
    visible = _INVISIBLE.sub(" ", text[:_MAX_RAW_CHARACTERS])[: 2 * MAX_CHARACTERS]
    return _HANDLE.sub("@user", _ADDRESS.sub("http", visible)).strip()[:MAX_CHARACTERS]


def words_of(text: str) -> str:
    """The words that tell a language: without links, addresses, handles, hashtags, numbers and signs."""
    plain = _HANDLE.sub(" ", _ADDRESS.sub(" ", _INVISIBLE.sub(" ", text[:MAX_CHARACTERS])))
    kept = (word for word in plain.split() if word[0] != "#" and any(letter.isalpha() for letter in word))
    return " ".join(kept)
