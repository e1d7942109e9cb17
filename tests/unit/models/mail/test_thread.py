"""The thread of a mail: the same for all of its messages, and never an id itself."""

import pytest

from models.mail.parse import parse_email
from models.mail.thread import ID_CHARACTERS, THREAD_FIELDS, thread_of
from service.api.convert import ticket_of
from service.api.schemas import RouteRequest

ROOT = "<root@shop.example>"


@pytest.mark.parametrize(
    "values",
    [
        {"message-id": ROOT},
        {"message-id": " <  root@shop.example > "},
        {"in-reply-to": ROOT, "message-id": "<b@x>"},
        {"references": f"{ROOT} <a@x> <b@x>", "in-reply-to": "<b@x>", "message-id": "<c@x>"},
        {"references": f"{ROOT}<a@x>", "message-id": "<c@x>"},
        {"references": "broken", "in-reply-to": ROOT, "message-id": "<c@x>"},
    ],
)
def test_first_id_of_a_thread_names_it(values: dict[str, str]) -> None:
    assert thread_of(values) == thread_of({"message-id": ROOT})


@pytest.mark.parametrize("values", [{}, {"message-id": ""}, {"message-id": "<>"}, {"references": "root@shop.example"}])
def test_without_an_id_there_is_no_thread(values: dict[str, str]) -> None:
    assert thread_of(values) is None


@pytest.mark.parametrize("value", ["<" * 1_000_000, "< " * 500_000, "<" + "a" * 1_000_000, "\ud800<\ud800@x>", "<\0>"])
def test_any_text_is_read_in_no_time_and_kept_as_a_digest(value: str) -> None:
    found = thread_of(dict.fromkeys(THREAD_FIELDS, value))
    assert found is None or len(found) == 64


def test_only_the_first_characters_of_an_id_count() -> None:
    first, second = ({"message-id": f"<{'a' * ID_CHARACTERS}{end}>"} for end in "bc")
    assert thread_of(first) == thread_of(second)


def test_raw_mail_and_json_give_the_same_thread() -> None:
    raw = f"From: a@b.c\r\nReferences: {ROOT}\r\n <a@x>\r\nMessage-ID: <b@x>\r\n\r\nHello".encode()
    request = RouteRequest.model_validate(
        {"body": "Hello", "headers": {"references": [f"{ROOT} <a@x>", "<other@x>"], "Message-ID": "<b@x>"}}
    )
    assert parse_email(raw).thread == ticket_of(request).thread == thread_of({"message-id": ROOT})
    assert ticket_of(RouteRequest.model_validate({"body": "Hello"})).thread is None
