"""The writers: names of several cultures, a company, an address on a reserved domain, and writing habits."""

import random
import unicodedata
from dataclasses import dataclass, replace

from training.sample.choice import weighted_choice

_Culture = tuple[tuple[str, ...], tuple[str, ...]]

# Writers of English have names of many cultures; first and last name come from the same culture.
_ENGLISH: tuple[_Culture, ...] = (
    (("Olivia", "James", "Emily", "Daniel", "Hannah", "Tyrone"), ("Smith", "Brown", "Johnson", "Williams", "Clarke")),
    (("Priya", "Arjun", "Ravi", "Ananya"), ("Patel", "Sharma", "Iyer", "Banerjee")),
    (("Wei", "Mei", "Jun", "Xiu"), ("Chen", "Zhang", "Lin", "Wong")),
    (("Fatima", "Omar", "Leila", "Yusuf"), ("Al-Masri", "Haddad", "Khan", "Nasser")),
    (("Kwame", "Ngozi", "Thabo", "Amara"), ("Mensah", "Okafor", "Nkosi", "Diallo")),
    (("Piotr", "Agnieszka", "Ivan", "Katya"), ("Nowak", "Wójcik", "Marchenko", "Zielak")),
    (("Mateus", "Camila", "Rafael"), ("Silva", "Rocha", "Carvalho")),
    (("Yuki", "Hiroshi", "Aiko"), ("Tanaka", "Sato", "Mori")),
    (("Aylin", "Mehmet", "Deniz"), ("Demir", "Kaya", "Arslan")),
    (("Siobhán", "Rhys", "Niamh"), ("O'Brien", "Evans", "Byrne")),
    (("Linh", "Minh", "Thao"), ("Tran", "Pham", "Nguyen")),
    (("Sven", "Astrid", "Freja"), ("Lindqvist", "Hansen", "Dahl")),
    (("Giulia", "Marco", "Noa"), ("Ricci", "Conti", "Cohen")),
)
_FIRST = {
    "de": ("Anna", "Lukas", "Jürgen", "Sabine", "Thomas", "Aylin", "Emre", "Katharina", "Björn", "Heike", "Milan"),
    "fr": ("Camille", "Hugo", "Élodie", "Jérôme", "Amina", "Mathieu", "Zoé", "Youssef", "Françoise", "Noé"),
    "es": ("Lucía", "Álvaro", "María José", "Diego", "Ximena", "Íñigo", "Valentina", "Joaquín", "Begoña"),
}
_LAST = {
    "de": ("Müller", "Schäfer", "Weiß", "Yildiz", "Hofmann", "Krüger", "Baumgärtner", "Vogel", "Öztürk", "Lorenz"),
    "fr": ("Lefèvre", "Moreau", "Benali", "Rousseau", "Garnier", "N'Diaye", "Chevalier", "Dupuis", "Roux"),
    "es": ("García Núñez", "Fernández", "Ibáñez", "Castaño", "Morales", "Quintero", "Etxeberria", "Peña"),
}
# No training ticket has these names, and every sample mail has a full signature: so no mail equals a row.
_MAIL_ENGLISH: tuple[_Culture, ...] = (
    (("Beatrice", "Edmund"), ("Ashdown", "Fairweather")),
    (("Deepa", "Karthik"), ("Venkataraman",)),
    (("Folake", "Tunde"), ("Adeyemi",)),
    (("Haruka", "Kenji"), ("Nakamura",)),
    (("Magda", "Tomasz"), ("Ostrowski",)),
)
_MAIL_LAST = {
    "de": ("Wetterstein", "Kirchgeßner", "Aydoğan"),
    "fr": ("Beaurepaire", "Kaddour", "Vaillancourt"),
    "es": ("Zubizarreta", "Villanueva Ríos"),
}
_FIRMS = {
    "en": (
        "{} Logistics",
        "{} & Partners",
        "{} Consulting",
        "{} Architects",
        "{} Studio",
        "{} Dental Care",
        "{} Engineering Ltd",
        "{} Media Inc.",
        "{} Legal LLP",
        "Bright{} Agency",
    ),
    "de": ("{} GmbH", "{} & Söhne KG", "Architekturbüro {}", "{} Maschinenbau", "Kanzlei {}", "{} Elektrotechnik"),
    "fr": ("Cabinet {}", "{} Conseil", "Atelier {}", "{} & Fils", "{} Ingénierie SARL"),
    "es": ("{} Asociados", "Estudio {}", "Talleres {}", "{} Consultores SL", "Grupo {}"),
}
_FIRM_WORDS = (
    "Northgate",
    "Alder",
    "Meridian",
    "Harbour",
    "Copperfield",
    "Juniper",
    "Summit",
    "Larkspur",
    "Vela",
    "Kestrel",
    "Orchard",
    "Tidewater",
    "Halden",
    "Montclair",
    "Solana",
    "Birke",
    "Rivoli",
    "Almeda",
    "Lumen",
)
_TITLES = {
    "en": (
        "Office Manager",
        "Accounts Payable",
        "Project Manager",
        "IT Administrator",
        "Head of Operations",
        "CEO",
        "Software Developer",
        "Security Officer",
        "Team Assistant",
        "Finance Lead",
        "Customer Success",
        "Designer",
    ),
    "de": ("Buchhaltung", "Projektleitung", "IT-Administration", "Geschäftsführung", "Assistenz", "Vertrieb"),
    "fr": ("Comptabilité", "Chef de projet", "Responsable informatique", "Gérante", "Assistante de direction"),
    "es": ("Contabilidad", "Jefa de proyecto", "Informática", "Gerente", "Administración"),
}
_DIAL = {"en": "+1 555", "de": "+49 30", "fr": "+33 1", "es": "+34 91"}
# Letters that Unicode does not decompose.
_FOLD = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "ä": "ae", "ö": "oe", "ü": "ue", "Ö": "oe"})


@dataclass(frozen=True, slots=True)
class Person:
    """One requester; a person keeps the same habits in every ticket."""

    first: str
    last: str
    email: str
    company: str
    title: str
    phone: str
    language: str
    client: str
    """The mail program: plain, gmail (HTML) or outlook (HTML)."""
    sign_off: str
    typo_rate: float
    lower_case: bool
    wraps: bool

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


def make_person(rng: random.Random, language: str, *, for_mail: bool = False) -> Person:
    """A person with random name, company and habits; `for_mail`: a sender of the demo's mails, with a full
    signature."""
    if language == "en":
        firsts, lasts = rng.choice(_MAIL_ENGLISH if for_mail else _ENGLISH)
    else:
        firsts, lasts = _FIRST[language], (_MAIL_LAST if for_mail else _LAST)[language]
    first, last = rng.choice(firsts), rng.choice(lasts)
    company = rng.choice(_FIRMS[language]).format(rng.choice((*_FIRM_WORDS, last.split()[0])))
    return Person(
        first=first,
        last=last,
        email=_address(rng, first, last, company),
        company=company,
        title=rng.choice(_TITLES[language]),
        phone=f"{_DIAL[language]} {rng.randrange(1000, 9999)} {rng.randrange(100, 999)}",
        language=language,
        client=weighted_choice(rng, {"plain": 0.74, "gmail": 0.12, "outlook": 0.14}),
        sign_off="block"
        if for_mail
        else weighted_choice(rng, {"first": 0.3, "full": 0.25, "block": 0.3, "mobile": 0.15}),
        typo_rate=weighted_choice(rng, {0.0: 0.55, 0.015: 0.3, 0.05: 0.15}),
        lower_case=rng.random() < 0.07,
        wraps=rng.random() < 0.15,
    )


def of_same_firm(person: Person, colleague: Person) -> Person:
    """The person, moved to the colleague's company: mail is mostly forwarded within a company."""
    local, domain = person.email.partition("@")[0], colleague.email.partition("@")[2]
    return replace(person, email=f"{local}@{domain}", company=colleague.company)


def slug(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.translate(_FOLD)).encode("ascii", "ignore").decode().lower()
    return "-".join("".join(c if c.isalnum() else " " for c in folded).split())


def _address(rng: random.Random, first: str, last: str, company: str) -> str:
    """On example.com, .org or .net (RFC 2606), so that no answer reaches a real person."""
    given, family = slug(first), slug(last).replace("-", "")
    domain = f"example.{weighted_choice(rng, {'com': 0.6, 'org': 0.2, 'net': 0.2})}"
    if rng.random() < 0.3:
        return f"{given}{rng.choice(('.', '_', ''))}{family}{rng.randrange(1, 99)}@{domain}"
    local = rng.choice((f"{given}.{family}", f"{given[0]}.{family}", given, f"{family}", f"{given[0]}{family}"))
    return f"{local}@{slug(company)}.{domain}"
