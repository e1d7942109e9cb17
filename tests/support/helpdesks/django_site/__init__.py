"""A minimal Django project around django-helpdesk; runs in `.venv-helpdesk`, never imported by the tests."""
