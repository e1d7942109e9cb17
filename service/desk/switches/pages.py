"""`/desk/switches`: what is automatic, who switched it and why, and what could not be written to helpdesks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from models.fields import DEPARTMENT
from service.access.audit import audit
from service.access.caller import Role
from service.admin.service import AdminService
from service.api.schemas import AutomationRequest
from service.automation.automation import Automation
from service.automation.switches import MODES, Mode, Switch
from service.desk.pages import PageError, Pages, is_script
from service.desk.session import PATH
from service.desk.switches import queries
from service.errors import InvalidRequest
from service.helpdesks import outbox
from service.helpdesks.link import Link
from service.http.problems import kind_of, kind_of_class
from service.records.database.schema import milliseconds_now
from service.records.records import Records
from service.records.rows import timestamp
from service.routing.router import Router

HERE = "/switches"
SLICES = {"connection": "Tickets of a helpdesk", "sender_domain": "Mail from a domain", "mailbox": "Mail to a mailbox"}
KINDS = {"all": "All tickets", "label": "A label"} | SLICES


@dataclass(frozen=True, slots=True)
class LabelRow:
    """`modes`: of each connection, its file's mode for the label. `switch`: the strictest in force for the label."""

    name: str
    mode: Mode
    switch: Switch | None
    modes: tuple[str, ...]


class Switches:
    """`links`: the connected helpdesks."""

    def __init__(
        self,
        pages: Pages,
        router: Router,
        records: Records,
        automation: Automation,
        admin: AdminService,
        links: Mapping[str, Link],
    ) -> None:
        self._pages = pages
        self._router = router
        self._records = records
        self._automation = automation
        self._admin = admin
        self._links = links

    def routes(self) -> list[Route]:
        guarded = self._pages.guarded
        return [
            Route(HERE, guarded(self.show)),
            Route(HERE, guarded(self.set_switch, Role.ADMIN), methods=["POST"]),
            Route(f"{HERE}/send-again", guarded(self.send_again, Role.ADMIN), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await self._page(request, 200, request.query_params, None)

    async def set_switch(self, request: Request) -> Response:
        """The same function, with its audit line, that `POST /admin/automation` calls."""
        form, who = await self._pages.form(request), request.state.session.name
        try:
            await self._admin.set_automation(_request_of(form), who)
        except PageError as error:
            code, problem = kind_of_class(InvalidRequest).code, error.line
        except InvalidRequest as error:
            code, problem = kind_of(error).code, error.errors[0].message
        else:
            return RedirectResponse(f"{PATH}{HERE}", 303)
        audit(who, "automation", code)
        if is_script(request):  # the form stays as it is
            raise PageError(422, problem)
        return await self._page(request, 422, form, problem)

    async def send_again(self, request: Request) -> Response:
        """Of one row, `id`, or of all."""
        form, who = await self._pages.form(request), request.state.session.name
        wanted = [form["id"]] if form.get("id") else []

        def revive(database: Any) -> set[str]:
            rows = queries.dead_ids(database, wanted)
            outbox.send_again(database, [row for row, _ in rows], milliseconds_now())
            return {connection for _, connection in rows}

        connections = await self._records.write(revive)
        if wanted and not connections:
            raise PageError(
                409, "This is not waiting to be sent again: it was sent meanwhile, or its ticket was forgotten."
            )
        audit(who, "send_again", "done", connections=sorted(connections))
        for name in connections & set(self._links):
            self._links[name].wake.set()
        return RedirectResponse(f"{PATH}{HERE}#dead", 303)

    async def _page(self, request: Request, status: int, form: Mapping[str, str], problem: str | None) -> Response:
        history, (dead_total, dead) = await self._records.read(
            lambda database: (queries.history(database), queries.dead(database))
        )
        connections, fault = self._admin.connections()
        in_force = self._automation.in_force
        department = self._router.engine.graph.scorings[0].field
        return self._pages.render(
            request,
            "switches.html",
            status,
            form=form,
            problem=problem,
            known=in_force.switches is not None,
            switches=[(each, in_force.matched(each)) for each in in_force.switches or ()],
            history=history,
            labels=_labels(department.labels, in_force.switches or (), list(self._links.values())),
            fields=[scoring.field.name for scoring in self._router.engine.graph.scorings],
            connections=connections,
            connections_fault=fault,
            modes=[mode.value for mode in MODES],
            kinds=KINDS,
            dead=dead,
            dead_total=dead_total,
            timestamp=timestamp,
        )


def _labels(labels: Sequence[str], switches: Sequence[Switch], links: Sequence[Link]) -> list[LabelRow]:
    found = []
    for label in labels:
        its = [each for each in switches if each.field == DEPARTMENT and each.selector in ({}, {"label": label})]
        switch = max(its, key=lambda each: MODES.index(each.mode), default=None)
        modes = tuple(link.connection.mode_of(DEPARTMENT, label).value for link in links)
        found.append(LabelRow(label, Mode.ROUTE if switch is None else switch.mode, switch, modes))
    return found


def _request_of(form: Mapping[str, str]) -> AutomationRequest:
    """`kind`: of KINDS; `name`: which one.

    Raises:
        PageError
    """
    kind, name = form.get("kind"), form.get("name", "").strip()
    if kind not in KINDS or (kind == "all" and name):
        raise PageError(422, "A switch for all tickets takes no name: choose what the name is of, or empty it.")
    wanted: dict[str, Any] = {
        "field": form.get("field") or DEPARTMENT,
        "mode": form.get("mode"),
        "why": form.get("why"),
    }
    if kind == "label":
        wanted["label"] = name
    elif kind in SLICES:
        wanted["slice"] = {kind: name}
    try:
        return AutomationRequest.model_validate(wanted)
    except ValidationError:
        raise PageError(422, "Choose a mode, and say why in a line.") from None
