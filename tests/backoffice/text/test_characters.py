"""Characters that show nothing or reorder; joiners of scripts and emoji; bytes of others as a browser reads them."""

import unicodedata

import pytest

from backoffice.text import characters
from notifications.core.templating import value_text
from notifications.mail.composers.base import one_line

# Texts that are written so: every character of them is part of the writing.
WRITING = {
    "Persian": "نامه\u200cای از می\u200cخواهم",
    "Persian with marks": "شَ\u200cه",
    "Sinhala": "ශ්\u200dරී ලංකාව",
    "Hindi": "क्\u200dष और राष्\u200dट्र",
    "Malayalam": "അവന്\u200dറെ",
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "health worker": "👩🏽\u200d⚕️",
    "couple": "👩\u200d❤️\u200d👨",
    "rainbow flag": "🏳️\u200d🌈",
    "polar bear": "🐻\u200d❄️",
    "keycap": "#️⃣ 1️⃣",
    "dingbats": "❤️ ‼️ ℹ️ ©️ ☎︎",
    "Japanese name": "葛\U000e0100城",
    "French": "« Prix : 1\u202f000\u00a0€ » l’été",
    "Arabic": "متجر النور 12",
    "Hebrew": "חנות האור, קומה 3",
    "Greek": "Κατάστημα",
    "Korean": "가게",
    "Thai": "ร้านค้า",
    "Vietnamese": "Việt Nam",
}


@pytest.mark.parametrize("text", WRITING.values(), ids=WRITING)
def test_what_is_part_of_writing_stays_and_is_taken(text: str) -> None:
    assert characters.first_hidden(text) == ""
    assert characters.legible(text) == text
    unchanged = " ".join(text.split())
    assert one_line(text) == unchanged and value_text(text) == unchanged


# Alone, each hides, reorders or commands, and is no part of any of the writings above.
HIDING = [
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    *"\u200b\u200c\u200d\u2060\u2061\u2064\u206a\ufeff\xad\u034f\u115f\u1160\u17b4\u180e\u180b\u2800\u3164\uffa0\ufe0f\ufe00",
    *"\x00\x07\x1b\x7f\x85\x9b\u2028\u2029\ufff9\ufffb\ufffe\uffff\ufdd0",
    *"\ue000\U000f0000\U0010ffff\U000e0001\U000e0067\U000e007f\U000e0100\U0001d173\ud800\udfff",
]


@pytest.mark.parametrize("character", HIDING, ids=characters.name)
def test_what_hides_or_reorders_is_found_and_taken_out(character: str) -> None:
    for text in (f"Lumière{character}Paris", f"{character}Lumière", f"Lumière{character}", f"a{character}{character}b"):
        assert characters.first_hidden(text) == character
        assert character not in characters.legible(text) or character == "\n"
        assert character not in one_line(text) and character not in value_text(text)


def test_no_character_that_unicode_calls_unseen_is_forgotten() -> None:
    """Walks the whole of Unicode: formats, controls, private ones and surrogates are found between Latin letters."""
    missed = [
        characters.name(chr(code))
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        and chr(code) not in "\t\n"
        and not characters.first_hidden(f"a{chr(code)}b")
    ]
    # Signs of Arabic and its kin that are drawn around the digits behind them.
    assert missed == ["U+0600", "U+0601", "U+0602", "U+0603", "U+0604", "U+0605", "U+06DD", "U+070F", "U+0890", "U+0891",
                      "U+08E2", "U+110BD", "U+110CD"]  # fmt: skip


def test_marks_of_direction_are_for_texts_of_right_to_left_letters() -> None:
    assert characters.first_hidden("שלום\u200f (abc)") == ""
    assert characters.first_hidden("Boutique\u200f") == "\u200f"
    assert characters.first_hidden("שלום\u202e") == "\u202e"


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (b"\xe9t\xe9", "", "été"),
        ("été €".encode(), "", "été €"),
        ("été €".encode("cp1252"), "", "été €"),
        ("été €".encode("cp1252"), "iso-8859-1", "été €"),
        ("été €".encode("cp1252"), "us-ascii", "été €"),
        ("été €".encode("iso-8859-15"), "ISO-8859-15", "été €"),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本"),
        ("привет".encode("koi8-r"), "koi8-r", "привет"),
        (b"\xef\xbb\xbf" + "été".encode(), "iso-8859-1", "été"),
        (b"\xff\xfe" + "été".encode("utf-16-le"), "", "été"),
        (b"\xfe\xff" + "été".encode("utf-16-be"), "utf-8", "été"),
        ("été".encode("utf-16-le"), "utf-16", "été"),
        # Told wrongly, or what no browser knows.
        (b"\xe9t\xe9", "utf-8", "été"),
        (b"\xe9t\xe9", "x-inconnu", "été"),
        (b"+AGE-", "utf-7", "+AGE-"),
        (b"\x81\x8d\x8f\x90\x9d", "", "\x81\x8d\x8f\x90\x9d"),
        (b"", "utf-8", ""),
    ],
)
def test_bytes_are_read_as_browsers_read_them(body: bytes, charset: str, text: str) -> None:
    assert characters.decoded(body, charset) == text


def test_no_byte_ever_becomes_a_replacement_character() -> None:
    for charset in (
        "",
        "utf-8",
        "utf-16",
        "shift_jis",
        "euc-jp",
        "gb18030",
        "big5",
        "windows-1251",
        "iso-2022-jp",
        "x",
    ):
        for first in range(256):
            for rest in (b"", b"\x80", b"\xff\xfe", b"abc\xc3"):
                assert "\ufffd" not in characters.decoded(bytes([first]) + rest, charset)


def test_a_cut_inside_a_character_loses_that_character_alone() -> None:
    assert characters.decoded("été".encode()[:-1], whole=False) == "ét"
    assert characters.decoded(b"\xff\xfe" + "été".encode("utf-16-le")[:-1], whole=False) == "ét"
