"""Real helpdesks for the tests: django-helpdesk in a process of its own, and a server that speaks Zendesk's API."""
