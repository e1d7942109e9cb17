"""The text that remains without quotes and signatures, for many mail clients."""

import pytest

from models.text.prepare import TextFlag, prepare
from models.ticket import ForwardedFrom, Ticket
from tests.unit.models.text.content_samples import FORWARDS, HTML, KEPT, LOOKALIKES, SIGNATURES
from tests.unit.models.text.reply_samples import ATTRIBUTIONS, HEADERS, Sample


def _named(samples: tuple[Sample, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sample", samples, ids=[sample.name for sample in samples])


@_named(ATTRIBUTIONS)
def test_an_attribution_and_all_it_introduces_is_removed(sample: Sample) -> None:
    """The words before "On …, Ann wrote:" remain, in every client's and language's order of words."""
    prepared = prepare(Ticket(body=sample.body))
    assert prepared.text == sample.expected
    assert TextFlag.QUOTED_REMOVED in prepared.flags


@_named(HEADERS)
def test_a_header_block_and_all_below_it_is_removed(sample: Sample) -> None:
    """The words above "From: … Sent: …" remain."""
    prepared = prepare(Ticket(body=sample.body))
    assert prepared.text == sample.expected
    assert TextFlag.QUOTED_REMOVED in prepared.flags


@_named(KEPT)
def test_what_the_customer_wrote_stays(sample: Sample) -> None:
    """Lists, stories, logs and answers between quotes are content, however much they look like mail."""
    assert prepare(Ticket(body=sample.body)).text == sample.expected


@_named(SIGNATURES)
def test_a_name_and_contacts_below_the_delimiter_go(sample: Sample) -> None:
    """Text below the signature stays."""
    assert prepare(Ticket(body=sample.body)).text == sample.expected


@pytest.mark.parametrize("body", LOOKALIKES)
def test_phrases_without_structure_remove_nothing(body: str) -> None:
    """Device lines, contact blocks, disclaimers, banners and list footers stay."""
    assert prepare(Ticket(body=body)).text == body


@_named(FORWARDS)
def test_a_forward_is_read_for_the_message_inside(sample: Sample) -> None:
    """The inner message remains, below the text of the forwarder."""
    prepared = prepare(Ticket(body=sample.body))
    assert prepared.text == sample.expected
    assert TextFlag.FORWARDED in prepared.flags


@_named(HTML)
def test_html_replies_are_cut_like_plain_ones(sample: Sample) -> None:
    """Quote containers of webmail and desktop clients are recognised in HTML."""
    prepared = prepare(Ticket(body=sample.body, content_type="text/html"))
    assert prepared.text == sample.expected
    assert TextFlag.HTML in prepared.flags


def test_the_subject_tells_a_forward_from_a_reply() -> None:
    """Outlook writes both alike; with "FW:" the header block opens the message to read."""
    block = "From: Bob\nSent: Tuesday, March 3, 2020 1:11 PM\nTo: Ann\nSubject: Parcel\n\nMy parcel is lost."
    body = f"Please take over, I am away.\n\n{block}"
    assert prepare(Ticket(subject="RE: Parcel", body=body)).text == "Parcel\nPlease take over, I am away."
    forwarded = prepare(Ticket(subject="FW: Parcel", body=body))
    assert forwarded.text == "Parcel\nPlease take over, I am away.\n\nMy parcel is lost."
    assert TextFlag.FORWARDED in forwarded.flags


def test_a_forward_of_gmx_is_read_for_the_message_inside() -> None:
    """Its header lines go, though no blank line ends them."""
    html = (
        '<div>Bitte übernehmen.</div><div name="quote" style="margin:10px"><div><b>Gesendet:</b>&nbsp;Montag, '
        "03. März 2025 um 10:11 Uhr<br/><b>Von:</b>&nbsp;Kim &lt;kim@home.example&gt;<br/>"
        "<b>An:</b>&nbsp;ann@home.example<br/>"
        '<b>Betreff:</b>&nbsp;Paket</div><div name="quoted-content">Mein Paket ist weg.</div></div>'
    )
    prepared = prepare(Ticket(subject="Fw: Paket", body=html, content_type="text/html"))
    assert prepared.text == "Paket\nBitte übernehmen.\n\nMein Paket ist weg."
    assert prepared.forwarded_from == ForwardedFrom("kim@home.example", "Paket")
