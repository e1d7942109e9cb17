"""The service connected to helpdesks: to a real django-helpdesk, and to a server that speaks Zendesk's API."""
