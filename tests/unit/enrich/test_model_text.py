"""What of a text is read, and in which language it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_enrich.adapters.outbound.language import OTHER_LANGUAGES, Py3LangidIdentifier
from voz_enrich.domain.signals import HOME_LANGUAGES, UNDETERMINED_LANGUAGE
from voz_enrich.domain.text import MAX_CHARACTERS, cleaned, words_of

pytestmark = pytest.mark.unit

any_text = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.fixture(scope="module")
def languages() -> Py3LangidIdentifier:
    return Py3LangidIdentifier()


@given(any_text)
def test_cleaned_text_is_short_encodable_and_stays_as_it_is(text: str) -> None:
    clean = cleaned(text)
    assert len(clean) <= MAX_CHARACTERS
    assert "\x00" not in clean
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert cleaned(clean) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  two\t words\r\n", "two words"),
        ("a\x00b", "a b"),
        ("\u200b\ufeff\x07", ""),
        ("half \ud83d emoji", "half emoji"),
        ("see https://example.org/a?b=c and www.example.org", "see http and http"),
        ("write to ana.b@example.org", "write to http"),
        ("@ana@social.example and @bob: hi", "@user and @user: hi"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("\n" * 9_000 + "late", "late"),
        ("x" * 100_000, "x" * MAX_CHARACTERS),
    ],
)
def test_cleaned(text: str, clean: str) -> None:
    assert cleaned(text) == clean


def test_words_leave_out_what_has_no_language() -> None:
    assert words_of("@bob #wow 123 ... hola 😀 https://example.org qué tal?") == "hola qué tal?"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Tercera vez que se cae la app al pagar", "es"),
        ("The app has crashed three times while I was paying", "en"),
        ("A fatura veio errada outra vez, já liguei duas vezes", "pt"),
        ("Toujours pas de colis, ça fait dix jours", "fr"),
        ("Schon wieder kein Internet seit heute Morgen", "de"),
        ("Non riesco ad accedere al mio conto da ieri", "it"),
        ("Boa Páscoa a todos", "pt"),
        ("Tack så mycket för hjälpen", "sv"),
        ("Спасибо за помощь, всё работает", "ru"),
        ("注文した商品がまだ届きません", "ja"),
        ("لم يصل الطلب حتى الآن", "ar"),
    ],
)
def test_language_of_a_sentence(languages: Py3LangidIdentifier, text: str, language: str) -> None:
    assert languages.identify(text) == language


@pytest.mark.parametrize("text", ["", "   ", "😡😡😡", "https://example.org/es/hola", "12:30 - 14:00", "@ana", "...!?"])
def test_without_a_word_there_is_no_language(languages: Py3LangidIdentifier, text: str) -> None:
    assert languages.identify(text) == UNDETERMINED_LANGUAGE
    assert languages.identify(text, "es") == UNDETERMINED_LANGUAGE


def test_a_hint_is_believed_where_the_text_says_little(languages: Py3LangidIdentifier) -> None:
    assert languages.identify("ok") == UNDETERMINED_LANGUAGE
    assert languages.identify("ok", "de-AT") == "de"
    assert languages.identify("no funciona", "pt_BR") == "pt"
    assert languages.identify("Tercera vez que se cae la app al pagar", "en") == "es"


@pytest.mark.parametrize("hint", ["", "xx", "klingon", "zxx", "-", "12", "\x00"])
def test_a_hint_that_is_no_language_is_ignored(languages: Py3LangidIdentifier, hint: str) -> None:
    assert languages.identify("Tercera vez que se cae la app", hint) == "es"
    assert languages.identify("ok", hint) == UNDETERMINED_LANGUAGE


@given(text=any_text, hint=st.none() | st.text(max_size=8))
def test_any_text_has_a_known_language(languages: Py3LangidIdentifier, text: str, hint: str | None) -> None:
    language = languages.identify(text, hint)
    assert language == languages.identify(text, hint)
    assert len(language) == 2 or language == UNDETERMINED_LANGUAGE
    assert hint is not None or language in {*HOME_LANGUAGES, *OTHER_LANGUAGES, UNDETERMINED_LANGUAGE}
