"""Words that the parsers look for, since a fuzzer would need long to find them."""

WORDS = (
    # mails
    "\nContent-Type: ", "multipart/mixed; boundary=b", "\n--b", "\n--b--", "text/html", "text/plain; charset=",
    "message/rfc822", "\nContent-Transfer-Encoding: base64\n\n", "quoted-printable", "x-uuencode", "=?utf-8?q?", "?=",
    "\nContent-Disposition: attachment; filename*0*=utf-8''%", "iso-2022-jp", "utf-16", "From: ", "To: ", "Subject: ",
    "Auto-Submitted: auto-replied", "Return-Path: <>",
    # texts
    "> ", "On 3 Mar 2020 at 10:10, Ann <a@b.c> wrote:", "Sent: 3 Mar 2020 10:10", "-----Original Message-----",
    "Begin forwarded message:", "-- \n", "Regards,", "Sent from my iPhone", "+49 123 4567", "confidential",
    "This e-mail", "CAUTION: external sender", "Re: ", "Fwd: ", "[#1]", "\u0301", "\u0f73", "\ufdfa", "\u200b",
    # HTML
    "<div>", "</div>", "<blockquote type=cite>", "<br>", "<p>", "<pre>", "<style>", "</style>", "<!--", "-->",
    "display:none", " hidden", "class=gmail_quote", "&amp;", "&#8364;", "<td>", "<li>", "<hr>", "appendonsend",
    # JSON
    '{"body":"', '"}', '"subject":', '"headers":{"', '"to":["', '"content_type":"text/html"', '{"tickets":[', '"id":"',
    "\\u", "\\ud83d\\ude00", "null", "1e999", "NaN",
    # HTTP
    "POST /v1/route HTTP/1.1\r\n", "Host: x\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n\r\n", "\r\n\r\n",
    "0\r\n\r\n", "Expect: 100-continue\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Content-Encoding: gzip\r\n",
)  # fmt: skip


def as_libfuzzer_wants_it() -> str:
    return "".join(f'"{_escaped(word)}"\n' for word in WORDS)


def _escaped(word: str) -> str:
    return "".join(rf"\x{byte:02x}" for byte in word.encode())
