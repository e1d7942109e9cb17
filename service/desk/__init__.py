"""The pages for people, under `/desk` of the public port: rendered here, with htmx and one style sheet.

    desk       which pages there are; `app.py` creates the one `Desk`
    pages      shared by all pages: templates, authorization, errors, headers, files
    session    sign-in sessions; login, oidc: sign-in by key and by identity provider
    kept       cached counts
    review     the queue, a ticket, and what people decide

A page is a class with `routes()`, whose paths are below `/desk`; its templates extend `base.html`. Texts of tickets are
never trusted: templates escape everything, and nothing inline runs.
"""
