# ruff: noqa: E501 -- one sample, one line: the table reads better
"""Bytes of a mail become the text that was written, declared or not."""

import pytest

from models.mail.charsets import decode_checked
from models.mail.parse import parse_email

UNDECLARED = [
    ("cp1255", "שלום, איפה ההזמנה שלי? אני רוצה החזר כספי."), ("cp1256", "مرحبا، أين طلبي؟ أريد استرداد أموالي."),
    ("cp874", "สวัสดีครับ สินค้าที่สั่งยังไม่ถึง"), ("iso8859-2", "Dzień dobry, gdzie jest moje zamówienie? Proszę o zwrot pieniędzy."),
    ("cp1250", "Kde je moje objednávka? Chci vrátit peníze, prosím."), ("cp1254", "Merhaba, siparişim nerede? Paramı geri istiyorum."),
    ("cp932", "注文番号四七一一、商品未着"), ("cp932", "返金希望、商品破損"), ("cp1252", "¿Dónde está mi pedido? Mañana"),
    ("koi8_r", "Где мой заказ? Верните деньги."), ("gb18030", "请退款，商品坏了"), ("big5", "請退款，商品壞了"), ("cp949", "환불해 주세요"),
    ("euc_jp", "返金をお願いします"),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "text"), UNDECLARED)
def test_undeclared_bytes_of_one_line_are_guessed(encoding: str, text: str) -> None:
    """In scripts other than Latin and in Latin with accents."""
    assert decode_checked(text.encode(encoding), None) == (text, True)


@pytest.mark.parametrize(
    "text",
    [
        "Bitte um Rückruf",
        "Größe passt nicht",
        "Où est ma commande? Je veux être remboursé",
        "La livraison est cassée",
        "Var är min beställning?",
    ],
)
def test_undeclared_mac_roman_is_reported_as_unreliable(text: str) -> None:
    """Its bytes are also letters of Windows-1252, in an order that no language uses."""
    assert decode_checked(text.encode("mac_roman"), None)[1] is False


DECLARED = [
    ("hz-gb-2312", "我要退款".encode("hz"), "我要退款"),
    ("iso-2022-kr", "환불해 주세요".encode("iso2022_kr"), "환불해 주세요"),
    ("iso-8859-8-i", "שלום".encode("iso8859-8"), "שלום"),
    ("windows-874", "สวัสดี".encode("cp874"), "สวัสดี"),
    ("x-mac-roman", "Größe".encode("mac_roman"), "Größe"),
    ("x-sjis", "注文".encode("cp932"), "注文"),
    ("iso-2022-jp", b"\x1b$B-!-j\x1b(B and \x1b$BCmJ8\x1b(B", "①㈱ and 注文"),
    ("iso-2022-jp", b"\x1b(I12\x1b(B \x1b$B-!\x1b(B", "ｱｲ ①"),
    ("utf-16", b"plain", "plain"),
    ("utf-8", "Größe – ".encode() + "möchte für".encode("cp1252"), "Größe – möchte für"),
    (
        "utf-8",
        "Wir möchten eine Rückzahlung für die Bestellung".encode() + b" \x96 bitte",
        "Wir möchten eine Rückzahlung für die Bestellung – bitte",
    ),
    (None, "Größe".encode()[:-2], "Grö"),
    ("iso-2022-jp", b"\x1b$BCmJ8\n" + b"\x1b(B" + b"hi \x1b$B-!\x1b(B", "注文\nhi ①"),
]


@pytest.mark.parametrize(("label", "data", "text"), DECLARED)
def test_charset_labels_have_the_meaning_of_browsers(label: str | None, data: bytes, text: str) -> None:
    """Aliases, the signs that Windows adds to ISO-2022-JP, bytes of Windows-1252 among UTF-8, a cut character."""
    assert decode_checked(data, label) == (text, True)


def test_the_charset_of_an_html_meta_tag_is_used() -> None:
    """A `<meta charset>` counts if the mail's header has no charset."""
    html = '<html><head><meta charset="windows-1251"></head>Где</html>'.encode("cp1251")
    assert "Где" in parse_email(b"Content-Type: text/html\n\n" + html).body
    old = '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">Łódź'.encode("iso8859-2")
    assert "Łódź" in parse_email(b"Content-Type: text/html\n\n" + old).body
