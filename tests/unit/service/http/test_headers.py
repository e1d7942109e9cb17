"""`service.http.headers.media_type`: each fault of a Content-Type has its own message."""

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


@pytest.mark.parametrize(("values", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_content_type_is_refused_with_its_reason(values: list[str], reason: str) -> None:
    """The type, the charset or the number of headers: a wrong reason would mislead the client."""
    with pytest.raises(UnsupportedMediaType) as refused:
        media_type(headers(values), JSON, MAIL)
    assert str(refused.value).endswith(reason)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("value", ["application/json", 'Application/JSON; charset="UTF-8"', f"{JSON};charset=us-ascii"])
def test_json_may_name_its_charset(value: str) -> None:
    """In the spellings of common clients."""
    assert media_type(headers([value]), JSON, MAIL) == JSON
