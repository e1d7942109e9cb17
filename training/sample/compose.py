"""Intent → mail: greeting, topic, request, closing, signature."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from training.sample.author import Author
from training.sample.choice import chance, weighted_choice
from training.sample.grammar import request, sentence, tidy
from training.sample.noise import add_typing_habits
from training.sample.phrasebook import Intent
from training.sample.render import Draft
from training.sample.thread import agent_thread, customer_thread, forwarded

FORMS = {
    "new": 0.55,
    "short": 0.14,
    "reply": 0.14,
    "forward": 0.06,
    "web_form": 0.06,
    "auto_reply": 0.03,
    "subject_only": 0.01,
    "empty_subject": 0.01,
}
_VAGUE_SUBJECT = 0.14
_STRAY_PARTS = {0: 0.35, 1: 0.45, 2: 0.20}


@dataclass(frozen=True, slots=True)
class MailPlan:
    """The plan of a mail."""

    intent: Intent
    priority: str
    other: Intent
    """An intent of another department, for the older thread or a smaller second topic."""
    author: Author
    inner: Author
    """The first writer of a forwarded mail; otherwise unused."""
    vague: bool = False
    """Always use a subject that says nothing about the topic."""


def compose(plan: MailPlan, form: str) -> Draft:
    """The mail of a plan. `form` is a key of FORMS."""
    author = plan.author
    match form:
        case "new":
            text = (_greeting(author), *_topic_paragraphs(author, plan), *_closing(author))
            return _typed_draft(author, _subject(author, plan), text, signature(author))
        case "short":
            line = _intent_phrase(author, plan.intent, "problem", sentence)
            if chance(author.rng, 0.3):
                line = f"{line} {_intent_phrase(author, plan.intent, 'ask', request)}"
            lines = [line, *([author.phrase("thanks")] if chance(author.rng, 0.35) else [])]
            if chance(author.rng, 0.4):
                lines.insert(0, _greeting(author))
            subject = _subject(author, plan)
            return _typed_draft(
                author, subject, tuple(lines), (author.person.first,) if chance(author.rng, 0.4) else ()
            )
        case "reply":
            # Half of the replies use an old thread for a new topic, so that subject and quote mislead.
            recycled = chance(author.rng, 0.5)
            topic = plan.other if recycled else plan.intent
            subject = f"{author.phrase('re')}: {_intent_phrase(author, topic, 'subject', tidy)}"
            bare_nudge = not recycled and chance(author.rng, 0.15)
            matter = () if bare_nudge else _topic_paragraphs(author, plan)
            says_why = bare_nudge or chance(author.rng, 0.3)
            nudge = sentence(author.phrase("new_topic" if recycled else "nudge")) if says_why else ""
            text = tuple(part for part in (_greeting(author), nudge, *matter, *_closing(author)) if part)
            thread = (customer_thread if bare_nudge else agent_thread)(author, topic, subject)
            return replace(_typed_draft(author, subject, text, signature(author)), thread=thread)
        case "forward":
            inner = compose(replace(plan, author=plan.inner), "new")
            text = (_greeting(author), sentence(author.phrase("forward_note")), *_closing(author))
            thread = forwarded(author, plan.inner, inner)
            return replace(
                _typed_draft(author, f"{author.phrase('fwd')}: {inner.subject}", text, signature(author)),
                thread=thread,
            )
        case "web_form":
            subject, *entries = author.phrase("form").split(" // ")
            typed = [add_typing_habits(part, author.person, author.rng) for part in _topic_paragraphs(author, plan)]
            return Draft(subject, ("\n".join(entries), *typed))
        case "auto_reply":
            author.values["thread_subject"] = f"Re: {_intent_phrase(author, plan.intent, 'subject', tidy)}"
            notice = tidy(author.phrase("auto"))
            return Draft(author.phrase("auto_subject"), (notice,), signature(author), auto_reply=True)
        case "subject_only":
            return Draft(_intent_phrase(author, plan.intent, "problem", sentence), ())
        case "empty_subject":
            return replace(compose(plan, "new"), subject="")
    raise ValueError(f"unknown form {form!r}")


def _typed_draft(author: Author, subject: str, text: tuple[str, ...], signed: tuple[str, ...]) -> Draft:
    person = author.person
    typed = tuple(add_typing_habits(part, person, author.rng) for part in text)
    return Draft(
        add_typing_habits(subject, person, author.rng), typed, signed, client=person.client, wraps=person.wraps
    )


def _intent_phrase(author: Author, intent: Intent, key: str, finish: Callable[[str], str]) -> str:
    return finish(author.expand(author.rng.choice(intent.phrases[key])))


def _subject(author: Author, plan: MailPlan) -> str:
    if plan.vague or chance(author.rng, _VAGUE_SUBJECT):
        return tidy(author.phrase("vague"))
    subject = _intent_phrase(author, plan.intent, "subject", tidy)
    if plan.priority == "urgent" and chance(author.rng, 0.35):
        return f"{author.phrase('cry')}: {subject}".replace("!:", "!")
    return subject


def _greeting(author: Author) -> str:
    return tidy(author.phrase("greeting"))


def _closing(author: Author) -> tuple[str, ...]:
    thanks = (author.phrase("thanks"),) if chance(author.rng, 0.4) else ()
    return (*thanks, author.phrase("close")) if chance(author.rng, 0.85) else thanks


def _topic_paragraphs(author: Author, plan: MailPlan) -> tuple[str, ...]:
    """The paragraphs about the topic, among sentences that fit any ticket."""
    rng, common = author.rng, author.book.common
    # An author of a quote request or at the end of a trial has not been a customer for years.
    choice = common["context"] if plan.intent.from_newcomer else common["context"] + common["settled"]
    count = weighted_choice(rng, _STRAY_PARTS)
    stray = [sentence(author.expand(one)) for one in rng.sample(choice, count)]
    before = rng.randrange(count + 1)
    opening = [*stray[:before], _intent_phrase(author, plan.intent, "problem", sentence)]
    if "detail" in plan.intent.phrases and chance(rng, 0.45):
        opening.append(_intent_phrase(author, plan.intent, "detail", sentence))
    end = stray[before:]
    if chance(rng, 0.65):
        end.append(_intent_phrase(author, plan.intent, "ask", request))
    # Priority shows in the wording in most mails; a few mails of normal priority claim urgency too.
    if plan.priority != "normal" and chance(rng, 0.65):
        end.append(sentence(author.phrase(plan.priority)))
    elif plan.priority == "normal" and chance(rng, 0.04):
        end.append(sentence(author.phrase(rng.choice(("urgent", "high")))))
    split = end and chance(rng, 0.5)
    paragraphs = (" ".join(opening), " ".join(end)) if split else (" ".join([*opening, *end]),)
    if not chance(rng, 0.08):
        return paragraphs
    # A smaller second topic.
    problem = _intent_phrase(author, plan.other, "problem", sentence)
    author.values["aside_problem"] = problem[0].lower() + problem[1:] if problem[1:2].islower() else problem
    return (*paragraphs, sentence(author.phrase("aside")))


def signature(author: Author) -> tuple[str, ...]:
    person = author.person
    if person.sign_off == "first":
        return (person.first,)
    if person.sign_off == "full":
        return (person.name,)
    if person.sign_off == "mobile":
        return (person.first, "", author.phrase("mobile"))
    block = (person.name, f"{person.title} | {person.company}", f"Tel. {person.phone}", person.email)
    mark = ("-- ",) if person.wraps else ()
    notice = ("", author.phrase("disclaimer")) if chance(author.rng, 0.3) else ()
    return (*mark, *block, *notice)
