"""The made-up company: Plankwise sells a planning, time-tracking and invoicing tool by subscription.

Plankwise writes invoices, and so does its product, so the vocabulary of its departments overlaps as in real mail.
"""

PRODUCT = "Plankwise"
SUPPORT_ADDRESS = "support@plankwise.example"

LANGUAGES = {"en": 0.83, "de": 0.08, "fr": 0.045, "es": 0.045}

DEPARTMENTS = {
    "billing": 0.21,
    "technical_support": 0.23,
    "account_access": 0.16,
    "sales": 0.11,
    "integrations": 0.09,
    "onboarding": 0.07,
    "cancellations": 0.08,
    # The rarest department has about a hundred of the default 2,000 rows: enough to learn, and visibly rare in a
    # report.
    "data_privacy": 0.05,
}
CONTESTED_SHARE = 0.05
"""Share of tickets that fit two departments; explained at the top of `contested.en.txt`."""

PRIORITIES = ("low", "normal", "high", "urgent")
PRIORITY_WEIGHTS = {
    "calm": (0.55, 0.42, 0.03, 0.0),
    "usual": (0.12, 0.66, 0.19, 0.03),
    "pressing": (0.02, 0.35, 0.48, 0.15),
    "critical": (0.0, 0.05, 0.30, 0.65),
}
"""Shares of the priorities by the temper of an intent, in the order of PRIORITIES."""
