"""Intent → mail: greeting, topic, request, closing, signature."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from training.sample.choice import chance, pick
from training.sample.grammar import request, sentence, tidy
from training.sample.noise import careless
from training.sample.phrasebook import Intent
from training.sample.render import Draft
from training.sample.scene import Scene
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
class Brief:
    """The plan of a mail."""

    intent: Intent
    priority: str
    other: Intent
    """An intent of another department, for the older thread or a smaller second topic."""
    writer: Scene
    inner: Scene
    """The first writer of a forwarded mail; otherwise unused."""
    vague: bool = False
    """Always use a subject that says nothing about the topic."""


def compose(brief: Brief, form: str) -> Draft:
    """The mail of a plan. `form` is a key of FORMS."""
    scene = brief.writer
    match form:
        case "new":
            text = (_greeting(scene), *_matter(scene, brief), *_closing(scene))
            return _draft(scene, _subject(scene, brief), text, signature(scene))
        case "short":
            line = _about(scene, brief.intent, "problem", sentence)
            if chance(scene.rng, 0.3):
                line = f"{line} {_about(scene, brief.intent, 'ask', request)}"
            lines = [line, *([scene.say("thanks")] if chance(scene.rng, 0.35) else [])]
            if chance(scene.rng, 0.4):
                lines.insert(0, _greeting(scene))
            subject = _subject(scene, brief)
            return _draft(scene, subject, tuple(lines), (scene.person.first,) if chance(scene.rng, 0.4) else ())
        case "reply":
            # Half of the replies use an old thread for a new topic, so that subject and quote mislead.
            recycled = chance(scene.rng, 0.5)
            topic = brief.other if recycled else brief.intent
            subject = f"{scene.say('re')}: {_about(scene, topic, 'subject', tidy)}"
            bare_nudge = not recycled and chance(scene.rng, 0.15)
            matter = () if bare_nudge else _matter(scene, brief)
            says_why = bare_nudge or chance(scene.rng, 0.3)
            nudge = sentence(scene.say("new_topic" if recycled else "nudge")) if says_why else ""
            text = tuple(part for part in (_greeting(scene), nudge, *matter, *_closing(scene)) if part)
            thread = (customer_thread if bare_nudge else agent_thread)(scene, topic, subject)
            return replace(_draft(scene, subject, text, signature(scene)), thread=thread)
        case "forward":
            inner = compose(replace(brief, writer=brief.inner), "new")
            text = (_greeting(scene), sentence(scene.say("forward_note")), *_closing(scene))
            thread = forwarded(scene, brief.inner, inner)
            return replace(_draft(scene, f"{scene.say('fwd')}: {inner.subject}", text, signature(scene)), thread=thread)
        case "web_form":
            subject, *entries = scene.say("form").split(" // ")
            typed = [careless(part, scene.person, scene.rng) for part in _matter(scene, brief)]
            return Draft(subject, ("\n".join(entries), *typed))
        case "auto_reply":
            scene.memo["thread_subject"] = f"Re: {_about(scene, brief.intent, 'subject', tidy)}"
            notice = tidy(scene.say("auto"))
            return Draft(scene.say("auto_subject"), (notice,), signature(scene), auto_reply=True)
        case "subject_only":
            return Draft(_about(scene, brief.intent, "problem", sentence), ())
        case "empty_subject":
            return replace(compose(brief, "new"), subject="")
    raise ValueError(f"unknown form {form!r}")


def _draft(scene: Scene, subject: str, text: tuple[str, ...], signed: tuple[str, ...]) -> Draft:
    person = scene.person
    typed = tuple(careless(part, person, scene.rng) for part in text)
    return Draft(careless(subject, person, scene.rng), typed, signed, client=person.client, wraps=person.wraps)


def _about(scene: Scene, intent: Intent, key: str, finish: Callable[[str], str]) -> str:
    return finish(scene.expand(scene.rng.choice(intent.phrases[key])))


def _subject(scene: Scene, brief: Brief) -> str:
    if brief.vague or chance(scene.rng, _VAGUE_SUBJECT):
        return tidy(scene.say("vague"))
    subject = _about(scene, brief.intent, "subject", tidy)
    if brief.priority == "urgent" and chance(scene.rng, 0.35):
        return f"{scene.say('cry')}: {subject}".replace("!:", "!")
    return subject


def _greeting(scene: Scene) -> str:
    return tidy(scene.say("greeting"))


def _closing(scene: Scene) -> tuple[str, ...]:
    thanks = (scene.say("thanks"),) if chance(scene.rng, 0.4) else ()
    return (*thanks, scene.say("close")) if chance(scene.rng, 0.85) else thanks


def _matter(scene: Scene, brief: Brief) -> tuple[str, ...]:
    """The paragraphs about the topic, among sentences that fit any ticket."""
    rng, common = scene.rng, scene.book.common
    # A writer who asks for a quote or ends a trial has not been a customer for years.
    choice = common["context"] if brief.intent.from_newcomer else common["context"] + common["settled"]
    count = pick(rng, _STRAY_PARTS)
    stray = [sentence(scene.expand(one)) for one in rng.sample(choice, count)]
    before = rng.randrange(count + 1)
    opening = [*stray[:before], _about(scene, brief.intent, "problem", sentence)]
    if "detail" in brief.intent.phrases and chance(rng, 0.45):
        opening.append(_about(scene, brief.intent, "detail", sentence))
    end = stray[before:]
    if chance(rng, 0.65):
        end.append(_about(scene, brief.intent, "ask", request))
    # Priority shows in the wording in most mails; a few mails of normal priority claim urgency too.
    if brief.priority != "normal" and chance(rng, 0.65):
        end.append(sentence(scene.say(brief.priority)))
    elif brief.priority == "normal" and chance(rng, 0.04):
        end.append(sentence(scene.say(rng.choice(("urgent", "high")))))
    split = end and chance(rng, 0.5)
    paragraphs = (" ".join(opening), " ".join(end)) if split else (" ".join([*opening, *end]),)
    if not chance(rng, 0.08):
        return paragraphs
    # A smaller second topic.
    problem = _about(scene, brief.other, "problem", sentence)
    scene.memo["aside_problem"] = problem[0].lower() + problem[1:] if problem[1:2].islower() else problem
    return (*paragraphs, sentence(scene.say("aside")))


def signature(scene: Scene) -> tuple[str, ...]:
    person = scene.person
    if person.sign_off == "first":
        return (person.first,)
    if person.sign_off == "full":
        return (person.name,)
    if person.sign_off == "mobile":
        return (person.first, "", scene.say("mobile"))
    block = (person.name, f"{person.title} | {person.company}", f"Tel. {person.phone}", person.email)
    mark = ("-- ",) if person.wraps else ()
    notice = ("", scene.say("disclaimer")) if chance(scene.rng, 0.3) else ()
    return (*mark, *block, *notice)
