# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""Hostile input as data: what each step of the cleaning is worst at. Every value builds about `size` characters."""

from collections.abc import Callable

Builder = Callable[[int], str]


def _fill(unit: str) -> Builder:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def _after(head: str, unit: str) -> Builder:
    return lambda size: head + _fill(unit)(size - len(head))


TEXTS: dict[str, Builder] = {
    "one token": _fill("a"), "zero width": _fill("\u200b"), "combining": _after("e", "\u0301"),
    "combining unsorted": _fill("\u0301\u0316\u0327\u0345"), "emoji": _fill("😀\u200d"), "controls": _fill("\x01\x02"),
    "NULs": _fill("\x00"), "right to left": _fill("\u202e\u05d0"), "ligatures": _fill("\ufdfa"), "jamo": _fill("ᄀ\u1161ᆨ"),
    "lone surrogates": _fill("\ud800"), "split pairs": _fill("\ud83d\ude00"), "mojibake": _fill("Ã¤"), "leads": _fill("Ã"),
    "line ends": _fill("\n"), "CRLF": _fill("\r\n"), "spaces": _fill(" "), "spaced line ends": _fill(" \n"),
    "quote lines": _fill("> a\n"), "quote signs": _fill(">"), "empty quotes": _fill(">\n"), "colons": _fill(":\n"),
    "attributions": _fill("On 3 Mar 2020 at 10:10, A <a@b.c>\n"), "answered": _fill("On 3 Mar 2020 wrote:\n> x\n"),
    "dates": _fill("1.1.2020 10:10\n"), "labels": _fill("From: a\n"), "labels with address": _fill("From: a@b\nFoo: x\n"),
    "dashes": _fill("-"), "dashed phrases": _fill("--a--\n"), "rules": _fill("-----\n"), "brackets": _fill("<a@"),
    "digits": _fill("1."), "addresses": _fill("a@"), "disclaimers": _fill("this e-mail is confidential, delete it\n\n"),
    "devices": _fill("sent from my iphone\n"), "closings": _fill("regards\n+49 123 4567\n"), "delimiters": _fill("-- \n"),
    "square brackets": _fill("[["), "tags": _fill("[#1] "), "said blocks": _fill("a:\n> a\n"), "lone quotes": _fill("a\n> a\n"), "ruled prose": _fill("--\na b c d e f g h\n"), "prefixes": _fill("Re: "), "paragraphs": _fill("a\n\n"),
    "colons between dashes": _fill("--" + ":" * 190 + "\n"), "padding between dashes": _fill("--" + ":" * 14 + "x" + ":" * 168 + "y" * 13 + "--\n"),
    "vowel signs": _fill("\u0f73"), "vowel signs and marks": _fill("\u0f73\u0f81\u0327\u0301"), "half-width marks": _fill("\uff9e\uff9f\u0f75"),
    "wrapped attributions": _fill("[<a@b.c> this e2020 To: n On 12 From: \n"), "dated attributions": _fill("3 [ 202<a@b.c>R+4[#1]9 123: 1.2020####0,\n"),
    "verbs": _fill("am 1.1.2020 schrieb Ann \n"), "open brackets": _fill("On 1 <\n"), "nested quotes": _fill(">>>> > > a\n> b\n"), "forwards": _fill("> --- Forwarded message ---\n"),
    "footers": _fill("sans virus\n\n"), "banners": _after("external email\n", "external sender\n"), "prompts": _fill(">>> a\n"), "persons": _after("--\n", "A b-b-b-b-b-b-b-b-b-b-b-b " * 5), "telephones": _after("regards\n", "1......"),
    "dotted dates": _fill("1.1.1.1.1.1.1.1.1\n"), "labels without values": _fill("From:\n\nTo:\n\n"), "ruled labels": _fill("-----\nFoo: a@b\nBar: 1.1.2020 10:10\n"), "asterisks": _fill("*_|- a:"), "prose": _fill("x y z w v u t s r q p o n m l k\n"),
}  # fmt: skip

HTML: dict[str, Builder] = {
    "comments": _fill("<!--"), "divs": _fill("<div>"), "bolds": _fill("<b>"), "breaks": _fill("<br>"), "less": _fill("<"),
    "entities": _fill("&a"), "numbers": _fill("&#1"), "one number": _after("&#", "1"), "attributes": _after("<p ", "a=1 "),
    "distinct attributes": lambda size: "<p " + " ".join(f"a{i}=1" for i in range(size // 8)) + ">x",
    "open quotes": _fill('<p ">'), "closed quotes": _fill('<p a=">" '), "blockquotes": _fill("<blockquote>"),
    "hidden": _fill('<div style="display:none">'), "styles": _fill("<style>"), "scripts": _fill("<script>a</script>"),
    "preformatted": _after("<pre>", "\n"), "cells": _fill("<td>x"), "ends of tags": _fill("</"), "declarations": _fill("<!"),
    "containers": _fill("<div class=yahoo_quoted>x</div>"), "horizontal rules": _fill("<hr>a"), "long tags": _fill("<div " + "class=x " * 36 + ">"), "hidden attributes": _fill("<p hidden>x"), "long style": _after('<div style="', "display:"),
    "emoji between tags": _fill("<div><p>😀😀😀😀"), "emoji in tags": _fill("<span 😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀style=>"), "hidden and nothing else": _fill("<span hidden><br>"), "entities between tags": _fill("</pre>&amp;"),
    "cites": _fill("<div " + "class=" * 48 + ">"), "Outlook's": _fill("<div id=x_x_x_x_x_x_x_x_x_x_x_x_x_x_x_x_x_>"), "no end of a style": _fill("<style></styl"), "raw ends": _fill("<title></titl></title>"), "quotes far away": _fill('<p "' + "x" * 60 + ">"), "items": _fill("<li>"),
    "styles that nearly hide": _fill("<div style=" + "font-size : mso-hide : display : " * 22 + ">"), "closing without opening": _fill("</div>"), "conditional comments": _fill("<![if a]>x"), "names": _fill("<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
}  # fmt: skip
