"""From a ticket to a decision, and the reload of the model."""
