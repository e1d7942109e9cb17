"""Serves the helpdesk of a folder: `serve.py FOLDER [--port N]`. A new folder gets a database, queues and accounts.

When it listens, it prints one line of JSON: its port, the queues' ids by slug, and the accounts' tokens.
"""

import argparse
import json
import os
import sys
from pathlib import Path

PASSWORD = "helpdesk"
INBOX = "inbox"
QUEUES = ("billing", "technical", "sales", "returns")
"""Beside `inbox`, where tickets arrive: one for each department of the tests' bundle."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--queues", nargs="*", default=QUEUES)
    parser.add_argument("--empty", action="store_true", help="make the folder and end")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
    os.environ["HELPDESK_FOLDER"] = str(options.folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.helpdesks.django_site.settings"
    import django

    django.setup()
    if not (options.folder / "helpdesk.sqlite3").exists():
        make(options.queues)
    if not options.empty:
        serve(options.folder, options.port)


def make(queues: list[str]) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from helpdesk.models import CustomField, Queue
    from rest_framework.authtoken.models import Token

    call_command("migrate", verbosity=0)
    Queue.objects.create(
        title="Inbox",
        slug=INBOX,
        email_address="support@helpdesk.test",
        allow_public_submission=True,
        allow_email_submission=True,
        email_box_type="local",
        email_box_interval=0,
    )
    for slug in queues:
        Queue.objects.create(title=slug.capitalize(), slug=slug)
    CustomField.objects.create(name="triage", label="Triage", data_type="varchar", max_length=200, staff_only=True)
    for name in ("admin", "ann", "router", "website"):
        user = get_user_model().objects.create_user(
            name, f"{name}@helpdesk.test", PASSWORD, is_staff=True, is_superuser=name == "admin"
        )
        Token.objects.create(user=user)


def serve(folder: Path, port: int) -> None:
    from django.conf import settings
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from helpdesk.models import Queue
    from rest_framework.authtoken.models import Token

    (folder / "mail").mkdir(exist_ok=True)
    Queue.objects.filter(slug=INBOX).update(email_box_local_dir=str(folder / "mail"))
    settings.DEBUG = True  # only so that the pages' files are served
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    server.daemon_threads = True
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    tokens = {token.user.username: token.key for token in Token.objects.select_related("user")}
    users = {token.user.username: token.user.id for token in Token.objects.select_related("user")}
    listening = {
        "port": server.server_port,
        "queues": dict(Queue.objects.values_list("slug", "id")),
        "tokens": tokens,
        "users": users,
    }
    print(json.dumps(listening), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
