"""What sentences and words say, over an engine with a real graph."""

import asyncio

import pytest

from models.scoring import probabilities
from service.errors import DeadlinePassed, Overloaded
from service.explain.occlusion import SENTENCE_TOKENS, Occlusion, strongest
from service.explain.phrases import words_of
from service.inference.engine import Engine
from tests.support.batching import in_loop, soon

TEXT = "I was charged twice. Please refund the second payment!\nBest regards"


async def of(engine: Engine, text: str, seconds: float = 10) -> Occlusion:
    deadline = asyncio.get_running_loop().time() + seconds
    return await Occlusion.of(engine, text, engine.graph.scorings[0], "billing", deadline)


def confidence(engine: Engine, text: str) -> float:
    logits = engine.sessions.run(engine.bundle.encoder.batch([engine.bundle.encode(text)]))
    return float(probabilities(logits, engine.graph.scorings[0])[0, 0])


def test_sentence_says_what_the_confidence_loses_without_it(hybrid: Engine) -> None:
    async def test() -> None:
        first, second, third = await (await of(hybrid, TEXT)).sentences()
        assert [each.text for each in (first, second, third)] == TEXT.replace("\n", " ").replace(". ", ".|").replace(
            "! ", "!|"
        ).split("|")
        rest = "I was charged twice. \nBest regards"
        assert second.score == pytest.approx(confidence(hybrid, TEXT) - confidence(hybrid, rest), abs=1e-4)

    in_loop(test)


def test_phrases_for_the_label_lower_its_confidence_and_those_against_raise_it(hybrid: Engine) -> None:
    async def test() -> None:
        occlusion = await of(hybrid, TEXT)
        said = await occlusion.phrases(strongest(await occlusion.sentences()))
        assert said.pro
        words = words_of(TEXT)
        assert all(each.span[0] in dict(words) for each in (*said.pro, *said.contra))
        whole, *left = await occlusion.confidences([[], [each.span for each in said.pro]])
        assert left[0] == pytest.approx(whole - sum(each.score for each in said.pro), abs=1e-4)
        for each in said.contra:
            assert (await occlusion.confidences([[each.span]]))[0] > whole

    in_loop(test)


def test_what_the_model_does_not_read_of_a_long_text_is_left_out(hybrid: Engine) -> None:
    async def test() -> None:
        text = f"{TEXT} {'middle words here. ' * 300}The end of it."
        occlusion = await of(hybrid, text)
        sentences = await occlusion.sentences()
        assert sentences[0].text == "I was charged twice."
        assert sentences[-1].text == "The end of it."
        assert len(sentences) < SENTENCE_TOKENS // occlusion.tokens
        ((start, end),) = occlusion.unread
        assert end - start > len(text) / 2
        said = await occlusion.phrases(strongest(sentences))
        assert all(each.span[1] <= start or end <= each.span[0] for each in (*said.pro, *said.contra))

    in_loop(test)


@pytest.mark.parametrize("text", ["", "…", "hello", "退款", "a " * 400])
def test_any_text_can_be_explained(hybrid: Engine, text: str) -> None:
    async def test() -> None:
        occlusion = await of(hybrid, text)
        await occlusion.phrases(strongest(await occlusion.sentences()))

    in_loop(test)


def test_an_explanation_that_gets_no_turn_is_late_and_one_on_a_busy_engine_is_refused(hybrid: Engine) -> None:
    """Each with the error itself, not with a group of one a variant."""

    async def test() -> None:
        late = await of(hybrid, TEXT, seconds=-1)
        with pytest.raises(DeadlinePassed):
            await late.sentences()
        busy = await of(hybrid, TEXT)
        encoding = hybrid.bundle.encode("word " * 300)
        # All of them wait: they are packed at the end of the loop's iteration.
        callers = [asyncio.ensure_future(hybrid.batcher.submit(encoding, soon())) for _ in range(20)]
        explained = asyncio.ensure_future(busy.sentences())
        with pytest.raises(Overloaded):
            await explained
        await asyncio.gather(*callers)

    in_loop(test)
