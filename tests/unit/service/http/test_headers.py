"""`service.http.headers.media_type`: what is wrong with a Content-Type is told apart."""

import pytest

from service.errors import UnsupportedMediaType
from service.http.headers import JSON, MAIL, media_type

REFUSED = {
    "none": ([], "Content-Type must be application/json or message/rfc822"),
    "another": (["text/canary-7f3a"], "Content-Type must be application/json or message/rfc822"),
    "another, and its charset": (
        ["text/a; charset=latin-1"],
        "Content-Type must be application/json or message/rfc822",
    ),
    "another charset": ([f"{JSON}; charset=canary-7f3a"], "in UTF-8; Content-Type has another charset"),
    "two": ([JSON, MAIL], "send one Content-Type header, not several"),
    "the same twice": ([JSON, JSON], "send one Content-Type header, not several"),
}


def headers(values: list[str]) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", value.encode()) for value in values]


@pytest.mark.parametrize(("values", "told"), REFUSED.values(), ids=REFUSED)
def test_a_content_type_is_refused_with_its_reason(values: list[str], told: str) -> None:
    """The type, the charset or the number of headers: a wrong reason would make the client change the right thing."""
    with pytest.raises(UnsupportedMediaType) as refused:
        media_type(headers(values), JSON, MAIL)
    assert str(refused.value).endswith(told)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("value", ["application/json", 'Application/JSON; charset="UTF-8"', f"{JSON};charset=us-ascii"])
def test_json_may_name_the_charset_it_has(value: str) -> None:
    """In the ways that clients write it."""
    assert media_type(headers([value]), JSON, MAIL) == JSON
