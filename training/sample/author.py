"""The author of one mail: a person at a moment, with one consistent plan, invoice and amount.

A slot keeps its first value for one author; `{+name}` draws a new one.
"""

import datetime as dt
import random
from dataclasses import dataclass, field

from training.sample import lexicon
from training.sample.company import PRODUCT
from training.sample.grammar import expand
from training.sample.people import Person
from training.sample.phrasebook import Phrasebook, phrasebook


@dataclass(slots=True)
class Author:
    """A person writing one mail. `values` holds the slots that already have a value."""

    rng: random.Random
    person: Person
    created: dt.datetime
    values: dict[str, str] = field(default_factory=dict)

    @property
    def language(self) -> str:
        return self.person.language

    @property
    def book(self) -> Phrasebook:
        return phrasebook(self.language)

    def expand(self, template: str) -> str:
        return expand(template, self.rng, self.slot)

    def phrase(self, key: str) -> str:
        """A phrase that every mail may carry, such as a greeting."""
        return self.expand(self.rng.choice(self.book.common[key]))

    def slot(self, name: str) -> str:
        if name.startswith("+"):
            return self._fresh(name[1:])
        if name not in self.values:
            self.values[name] = self._fresh(name)
        return self.values[name]

    def _fresh(self, name: str) -> str:
        """A new value of a slot: computed, or drawn from the lexicon, or a common phrase of that name."""
        rng, person, created = self.rng, self.person, self.created
        match name:
            case "product":
                return PRODUCT
            case "the_feature":
                feature = self.slot("feature")
                bare = feature in lexicon.WITHOUT_ARTICLE or self.language != "en"
                return feature if bare else f"the {feature}"
            case "amount":
                base = rng.choice((9, 19, 29, 49, 79, 99, 129, 190, 249, 348, 490, 588, 890, 1188, 1990, 2376))
                value = base * rng.choice((1, 1, 1, 2, 3, 5)) + rng.choice((0, 0, 0.5, 0.9, 0.99))
                if self.language == "en":
                    forms = (f"${value:,.2f}", f"€{value:.2f}", f"£{value:,.2f}", f"{value:.2f} USD", f"${value:.0f}")
                    return rng.choice(forms)
                comma = f"{value:.2f}".replace(".", ",")
                return rng.choice((f"{comma} €", f"{value:.0f} €", f"{comma} EUR"))
            case "date":
                return self._day(created - dt.timedelta(days=rng.randrange(2, 40)))
            case "due":
                if self.language == "en" and rng.random() < 0.4:
                    return rng.choice(lexicon.WEEKDAYS_EN)
                return self._day(created + dt.timedelta(days=rng.randrange(3, 45)))
            case "month":
                past = created - dt.timedelta(days=rng.randrange(5, 100))
                return lexicon.MONTHS[self.language][past.month - 1]
            case "invoice_no":
                number = rng.randrange(10_000, 99_999)
                return rng.choice((f"PW-{number}", f"{number}", f"{created.year}-{number}", f"INV-{number}"))
            case "seats":
                return str(rng.choice((12, 14, 15, 18, 20, 22, 25, 30, 35, 40, 48, 55, 60, 75, 90, 120, 150)))
            case "number":
                return str(rng.randrange(2, 10))
            case "percent":
                return str(rng.choice((3, 17, 42, 60, 78, 80, 95, 99)))
            case "last4":
                return f"{rng.randrange(10_000):04}"
            case "hex":
                return f"{rng.getrandbits(32):08x}"
            case "company":
                return person.company
            case "first_name":
                return person.first
            case "last_name":
                return person.last.split()[0]
            case "full_name":
                return person.name
            case "email":
                return person.email
        words = lexicon.BY_LANGUAGE[self.language].get(name) or lexicon.SHARED.get(name)
        return rng.choice(words) if words else self.phrase(name)

    def _day(self, moment: dt.datetime) -> str:
        """A day as people of this language type it."""
        month = lexicon.MONTHS[self.language][moment.month - 1]
        if self.language == "en":
            forms = (
                f"{moment.day} {month}",
                f"{month} {moment.day}",
                f"{month[:3]} {moment.day}",
                f"{moment:%Y-%m-%d}",
                f"{moment:%d/%m/%Y}",
            )
            return self.rng.choice(forms)
        if self.language == "de":
            return self.rng.choice((f"{moment.day}. {month}", f"{moment:%d.%m.%Y}", f"{moment:%d.%m.}"))
        return f"{moment.day} de {month}" if self.language == "es" else f"{moment.day} {month}"


def quote_date(author: Author, moment: dt.datetime) -> str:
    """Date and time in the format of mail programs above a quote."""
    language = author.language
    day, month, time = moment.day, lexicon.MONTHS[language][moment.month - 1], f"{moment:%H:%M}"
    weekday = lexicon.DAYS[language][moment.weekday()]
    if language == "en":
        return f"{weekday}, {month[:3]} {day}, {moment.year} at {time}"
    if language == "de":
        return f"{weekday}, {day}. {month} {moment.year} um {time}"
    joiner = {"fr": "à", "es": "a las"}[language]
    return f"{weekday} {day} {month} {moment.year} {joiner} {time}"
