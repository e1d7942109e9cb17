"""A scene: writer, time and language, so that a ticket has one consistent plan, invoice and amount.

A slot keeps its first value within a scene; `{+name}` draws a new one.
"""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from training.sample import lexicon
from training.sample.company import PRODUCT
from training.sample.grammar import expand
from training.sample.people import Person
from training.sample.phrasebook import Phrasebook, phrasebook


@dataclass(slots=True)
class Scene:
    rng: random.Random
    person: Person
    created: dt.datetime
    memo: dict[str, str] = field(default_factory=dict)

    @property
    def language(self) -> str:
        return self.person.language

    @property
    def book(self) -> Phrasebook:
        return phrasebook(self.language)

    def expand(self, template: str) -> str:
        return expand(template, self.rng, self.slot)

    def say(self, key: str) -> str:
        """A phrase that every mail may carry, such as a greeting."""
        return self.expand(self.rng.choice(self.book.common[key]))

    def slot(self, name: str) -> str:
        if name.startswith("+"):
            return self._fresh(name[1:])
        if name not in self.memo:
            self.memo[name] = self._fresh(name)
        return self.memo[name]

    def _fresh(self, name: str) -> str:
        if name in _COMPUTED:
            return _COMPUTED[name](self)
        words = lexicon.BY_LANGUAGE[self.language].get(name) or lexicon.SHARED.get(name)
        return self.rng.choice(words) if words else self.say(name)


def stamp(scene: Scene, moment: dt.datetime) -> str:
    """Date and time in the format of mail programs above a quote."""
    language = scene.language
    day, month, time = moment.day, lexicon.MONTHS[language][moment.month - 1], f"{moment:%H:%M}"
    weekday = lexicon.DAYS[language][moment.weekday()]
    if language == "en":
        return f"{weekday}, {month[:3]} {day}, {moment.year} at {time}"
    if language == "de":
        return f"{weekday}, {day}. {month} {moment.year} um {time}"
    joiner = {"fr": "à", "es": "a las"}[language]
    return f"{weekday} {day} {month} {moment.year} {joiner} {time}"


def _the_feature(scene: Scene) -> str:
    feature = scene.slot("feature")
    return feature if feature in lexicon.WITHOUT_ARTICLE or scene.language != "en" else f"the {feature}"


def _amount(scene: Scene) -> str:
    base = scene.rng.choice((9, 19, 29, 49, 79, 99, 129, 190, 249, 348, 490, 588, 890, 1188, 1990, 2376))
    value = base * scene.rng.choice((1, 1, 1, 2, 3, 5)) + scene.rng.choice((0, 0, 0.5, 0.9, 0.99))
    if scene.language == "en":
        forms = (f"${value:,.2f}", f"€{value:.2f}", f"£{value:,.2f}", f"{value:.2f} USD", f"${value:.0f}")
        return scene.rng.choice(forms)
    comma = f"{value:.2f}".replace(".", ",")
    return scene.rng.choice((f"{comma} €", f"{value:.0f} €", f"{comma} EUR"))


def _day(scene: Scene, moment: dt.datetime) -> str:
    month = lexicon.MONTHS[scene.language][moment.month - 1]
    if scene.language == "en":
        forms = (
            f"{moment.day} {month}",
            f"{month} {moment.day}",
            f"{month[:3]} {moment.day}",
            f"{moment:%Y-%m-%d}",
            f"{moment:%d/%m/%Y}",
        )
        return scene.rng.choice(forms)
    if scene.language == "de":
        return scene.rng.choice((f"{moment.day}. {month}", f"{moment:%d.%m.%Y}", f"{moment:%d.%m.}"))
    return f"{moment.day} de {month}" if scene.language == "es" else f"{moment.day} {month}"


def _date(scene: Scene) -> str:
    return _day(scene, scene.created - dt.timedelta(days=scene.rng.randrange(2, 40)))


def _due(scene: Scene) -> str:
    if scene.language == "en" and scene.rng.random() < 0.4:
        return scene.rng.choice(lexicon.WEEKDAYS_EN)
    return _day(scene, scene.created + dt.timedelta(days=scene.rng.randrange(3, 45)))


def _month(scene: Scene) -> str:
    past = scene.created - dt.timedelta(days=scene.rng.randrange(5, 100))
    return lexicon.MONTHS[scene.language][past.month - 1]


def _invoice_no(scene: Scene) -> str:
    number = scene.rng.randrange(10_000, 99_999)
    return scene.rng.choice((f"PW-{number}", f"{number}", f"{scene.created.year}-{number}", f"INV-{number}"))


_SEATS = (12, 14, 15, 18, 20, 22, 25, 30, 35, 40, 48, 55, 60, 75, 90, 120, 150)

_COMPUTED: dict[str, Callable[[Scene], str]] = {
    "product": lambda _: PRODUCT,
    "the_feature": _the_feature,
    "amount": _amount,
    "date": _date,
    "due": _due,
    "month": _month,
    "invoice_no": _invoice_no,
    "seats": lambda scene: str(scene.rng.choice(_SEATS)),
    "number": lambda scene: str(scene.rng.randrange(2, 10)),
    "percent": lambda scene: str(scene.rng.choice((3, 17, 42, 60, 78, 80, 95, 99))),
    "last4": lambda scene: f"{scene.rng.randrange(10_000):04}",
    "hex": lambda scene: f"{scene.rng.getrandbits(32):08x}",
    "company": lambda scene: scene.person.company,
    "first_name": lambda scene: scene.person.first,
    "last_name": lambda scene: scene.person.last.split()[0],
    "full_name": lambda scene: scene.person.name,
    "email": lambda scene: scene.person.email,
}
