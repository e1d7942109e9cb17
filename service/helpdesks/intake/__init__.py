"""Events of helpdesks come in: by webhook, and by listing what was missed."""
