"""From a ticket to a decision, and which model decides."""
