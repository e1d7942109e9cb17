"""The script that most letters of a text belong to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.script import READ_CHARACTERS, SCRIPTS, dominant_script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Where is my order?", "latin"),
        ("Größe geändert, œuvre, Łódź", "latin"),
        ("Где мой заказ 42, please?", "cyrillic"),
        ("Πού είναι η παραγγελία;", "greek"),
        ("أين طلبي؟", "arabic"),
        ("איפה ההזמנה שלי?", "hebrew"),
        ("我的订单在哪里", "han"),
        ("ちゅうもんはどこですか", "kana"),
        ("주문은 어디에 있나요", "hangul"),
        ("मेरा ऑर्डर कहाँ है", "devanagari"),
        ("คำสั่งซื้อของฉันอยู่ที่ไหน", "other"),
        ("42 – 17 = 25 !", "none"),
        ("42", "none"),
        ("", "none"),
        ("€€€", "none"),
    ],
)
def test_the_script_of_most_letters_counts(text: str, script: str) -> None:
    assert dominant_script(text) == script


def test_only_the_beginning_is_read() -> None:
    assert dominant_script("a" * READ_CHARACTERS + "ж" * 10_000) == "latin"


@given(st.text())
def test_any_text_has_one_of_the_scripts(text: str) -> None:
    assert dominant_script(text) in SCRIPTS
