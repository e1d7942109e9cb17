"""A real django-helpdesk in a process of its own, and what customers and agents do in it, by its own pages and API."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv-helpdesk" / "bin" / "python"
SERVE = Path(__file__).parent / "django_site" / "serve.py"
PASSWORD = "helpdesk"
INBOX = "inbox"


class DjangoHelpdesk:
    """`queues`: ids by slug; `tokens`, `users`: tokens and ids of the accounts `admin`, `ann` (an agent), `router` (the
    service's) and `website` (which files tickets through the API)."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[str] | None = None
        self.queues: dict[str, int] = {}
        self.tokens: dict[str, str] = {}
        self.users: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Also after `stop`, with the same tickets on the same port."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [PYTHON, SERVE, self.folder, "--port", str(self.port)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "log").read_text()[-2000:]
        listening = json.loads(line)
        self.port, self.queues = listening["port"], listening["queues"]
        self.tokens, self.users = listening["tokens"], listening["users"]

    def stop(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def send_events_to(self, *addresses: str, kind: str = "new_ticket") -> None:
        """HELPDESK_NEW_TICKET_WEBHOOK_URLS, or with `followup` the other setting."""
        (self.folder / f"{kind}_webhooks").write_text("\n".join(addresses))

    def api(self, account: str = "router") -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/api/", headers={"Authorization": f"Token {self.tokens[account]}"}, timeout=30
        )

    def ticket(self, number: int) -> dict[str, Any]:
        with self.api("admin") as client:
            answer = client.get(f"tickets/{number}/")
        answer.raise_for_status()
        return dict(answer.json())

    def queue_of(self, number: int) -> str:
        return next(slug for slug, queue in self.queues.items() if queue == self.ticket(number)["queue"])

    def tickets(self) -> list[dict[str, Any]]:
        with self.api("admin") as client:
            return list(client.get("tickets/", params={"page_size": 1000}).json()["results"])

    def mails_sent(self) -> int:
        """Mails that the helpdesk sent to anyone."""
        return sum(each.read_text().count("\nMessage-ID: ") for each in (self.folder / "sent").glob("*"))

    # Customers

    def file_by_form(self, title: str, body: str, sender: str = "customer@example.org") -> int:
        """The public page; the number of the new ticket."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            token = _form_token(client.get("/tickets/submit/").text)
            fields = {"queue": self.queues[INBOX], "title": title, "body": body, "priority": 3}
            answer = client.post(
                "/tickets/submit/", data={**fields, "submitter_email": sender, "csrfmiddlewaretoken": token}
            )
        assert answer.status_code == 302, answer.text[:2000]
        match = re.search(r"ticket=inbox-(\d+)", answer.headers["Location"])
        assert match, answer.headers["Location"]
        return int(match[1])

    def file_by_api(self, title: str, body: str, sender: str = "customer@example.org") -> int:
        fields = {"queue": self.queues[INBOX], "title": title, "description": body, "priority": 3}
        with self.api("website") as client:
            answer = client.post("tickets/", json={**fields, "submitter_email": sender})
        assert answer.status_code == 201, answer.text[:2000]
        return int(answer.json()["id"])

    def file_by_mail(self, title: str, body: str, sender: str = "customer@example.org") -> int:
        """Into the mailbox folder, which the helpdesk's own command then reads."""
        known = max((each["id"] for each in self.tickets()), default=0)
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = sender, "support@helpdesk.test", title
        mail["Message-ID"] = f"<{known}@example.org>"
        mail.set_content(body)
        (self.folder / "mail" / f"{known}.eml").write_bytes(bytes(mail))
        self.manage("get_email")
        return int(max(each["id"] for each in self.tickets() if each["id"] > known))

    def manage(self, *command: str) -> None:
        environment = {
            **os.environ,
            "HELPDESK_FOLDER": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "tests.support.helpdesks.django_site.settings",
            "PYTHONPATH": str(ROOT),
        }
        run = subprocess.run(
            [PYTHON, "-m", "django", *command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stderr[-2000:]

    # Agents

    def update(self, number: int, agent: str = "ann", **fields: Any) -> None:
        """The page of a ticket: it leaves a follow-up."""
        self._submit(number, f"/tickets/{number}/update/", agent, fields)

    def move(self, number: int, queue: str, agent: str = "ann") -> None:
        self.update(number, agent, queue=self.queues[queue])

    def edit(self, number: int, queue: str, agent: str = "ann") -> None:
        """The page `Edit details`, which moves a ticket without a follow-up or a webhook."""
        ticket = self.ticket(number)
        kept = {"title": ticket["title"], "submitter_email": ticket["submitter_email"], "priority": ticket["priority"]}
        fields = {**kept, "description": ticket["description"], "queue": self.queues[queue], "secret_key": "kept"}
        self._submit(number, f"/tickets/{number}/edit/", agent, fields)

    def _submit(self, number: int, path: str, agent: str, fields: dict[str, Any]) -> None:
        with httpx.Client(base_url=self.url, timeout=30, follow_redirects=False) as client:
            token = _form_token(client.get("/login/").text)
            login = {"username": agent, "password": PASSWORD, "csrfmiddlewaretoken": token}
            assert client.post("/login/", data=login).status_code == 302
            ticket = self.ticket(number)
            unchanged = {name: ticket[name] for name in ("title", "priority", "queue")} | {
                "new_status": ticket["status"],
                "owner": ticket["assigned_to"] or 0,
                "comment": "",
            }
            token = _form_token(client.get(f"/tickets/{number}/").text)
            answer = client.post(path, data={**unchanged, **fields, "csrfmiddlewaretoken": token})
        assert answer.status_code == 302, answer.text[:4000]


def _form_token(page: str) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert match, page[:2000]
    return match[1]


def new_site(folder: Path, queues: Sequence[str] = ()) -> None:
    """A folder with a database, queues and accounts: some five seconds of migrations, so copy it for each test."""
    if not PYTHON.exists():
        message = "no .venv-helpdesk: run `make helpdesk-env`"
        if os.environ.get("CI"):
            raise AssertionError(message)
        pytest.skip(message)
    names = ["--queues", *queues] if queues else []
    subprocess.run([PYTHON, SERVE, folder, "--empty", *names], check=True, timeout=240)


@contextlib.contextmanager
def running_django(site: Path, folder: Path) -> Iterator[DjangoHelpdesk]:
    """Started from a copy of `site`."""
    shutil.copytree(site, folder)
    helpdesk = DjangoHelpdesk(folder)
    helpdesk.start()
    try:
        yield helpdesk
    finally:
        if helpdesk.process is not None and helpdesk.process.poll() is None:
            helpdesk.stop()
