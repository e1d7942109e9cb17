"""A customer's words stay; only evidence of structure cuts."""

import pytest

from models.text.prepare import prepare
from models.ticket import Ticket
from tests.unit.models.text.kept_samples import SAMPLES, Kept


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_words_stay_without_evidence(sample: Kept) -> None:
    """Every phrase that must remain does, and what evidence cuts is gone."""
    kind = "text/html" if sample.html else "text/plain"
    text = prepare(Ticket(subject=sample.subject, body=sample.body, content_type=kind)).text
    assert [words for words in sample.keep if words not in text] == []
    assert [words for words in sample.drop if words in text] == []
