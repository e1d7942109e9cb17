"""Text → token ids → padded batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoding import HEAD_SHARE, Encoder, Encoding, padded_length
from tests.support.plain import PAD_ID, WORDS, words_tokenizer

LETTERS = WORDS[4:]
texts = st.lists(st.sampled_from(LETTERS), max_size=80).map(" ".join)
limits = st.integers(8, 64)


def encoder_of(max_tokens: int, *, special: bool = True) -> Encoder:
    return Encoder(words_tokenizer(special=special), max_tokens=max_tokens, pad_id=PAD_ID)


def ids_of(text: str) -> tuple[int, ...]:
    return tuple(WORDS.index(word) for word in text.split())


@given(texts, limits, st.booleans())
def test_a_long_text_keeps_its_head_and_its_tail(text: str, max_tokens: int, special: bool) -> None:
    """What is kept is the text's own head and tail, three to one, between the special tokens, and never too long."""
    found = encoder_of(max_tokens, special=special).encode(text)
    around = 2 if special else 0
    room, whole = max_tokens - around, ids_of(text)
    inner = found.ids[1:-1] if special else found.ids
    assert len(found.ids) <= max_tokens
    assert found.truncated == (len(whole) > room)
    if special:
        assert (found.ids[0], found.ids[-1]) == (0, 1)
    if not found.truncated:
        assert inner == whole
    else:
        head = int(room * HEAD_SHARE)
        assert len(inner) == room
        assert inner[:head] == whole[:head]
        assert inner[head:] == whole[len(whole) - (room - head) :]


def test_a_text_that_just_fits_is_whole() -> None:
    """The limit counts special tokens: 30 words fit into 32 tokens, 31 do not."""
    encoder = encoder_of(32)
    assert not encoder.encode(" ".join(["a"] * 30)).truncated
    assert encoder.encode(" ".join(["a"] * 31)).truncated


def test_the_tokenizers_own_truncation_and_padding_are_off() -> None:
    """A tokenizer.json that was saved with truncation and padding still gives the whole text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(words_tokenizer())
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=20)
    encoder = Encoder(tokenizer.to_str().encode(), max_tokens=16, pad_id=PAD_ID)
    assert encoder.encode("a b c d e f").ids == (0, *ids_of("a b c d e f"), 1)


@given(st.lists(texts, min_size=1, max_size=6), limits, st.sampled_from([1, 8]))
def test_a_batch_holds_every_row_and_masks_the_padding(rows: list[str], max_tokens: int, multiple: int) -> None:
    """Each row's tokens stand first with mask 1, the rest is padding with mask 0; the length is the longest row's,
    rounded up to the multiple within the model's limit."""
    encoder = encoder_of(max_tokens)
    encodings = [encoder.encode(text) for text in rows]
    batch = encoder.batch(encodings, multiple)
    length = batch.input_ids.shape[1]
    assert batch.input_ids.shape == batch.attention_mask.shape == (len(rows), length)
    assert batch.input_ids.dtype == batch.attention_mask.dtype == np.int64
    longest = max(1, *(len(encoding.ids) for encoding in encodings))
    assert length == max_tokens or (length < longest + multiple and length % multiple == 0)
    for encoding, ids, mask in zip(encodings, batch.input_ids, batch.attention_mask, strict=True):
        count = len(encoding.ids)
        assert tuple(ids[:count]) == encoding.ids
        assert (ids[count:] == PAD_ID).all()
        assert mask.tolist() == [1] * count + [0] * (length - count)


@pytest.mark.parametrize(
    ("tokens", "max_tokens", "length"), [(1, 64, 8), (8, 64, 8), (9, 64, 16), (61, 62, 62), (62, 62, 62)]
)
def test_rows_are_padded_to_the_multiple(tokens: int, max_tokens: int, length: int) -> None:
    """A row is padded to the next multiple, but never beyond the model's limit; to nothing by default."""
    assert padded_length(tokens, max_tokens, 8) == length
    assert padded_length(tokens, max_tokens) == tokens


def test_a_text_without_any_token_still_gives_a_row() -> None:
    """A tokenizer without special tokens may give nothing at all: the batch has a padded row, not an empty one."""
    encoder = encoder_of(16, special=False)
    assert encoder.encode("").ids == ()
    assert encoder.batch([Encoding((), False)]).input_ids.shape == (1, 1)
