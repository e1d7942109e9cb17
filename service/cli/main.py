"""The commands of `python -m service`, and the format of their errors."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from models.build import build
from models.errors import TicketRouterError
from models.mail.parse import parse_email
from models.mail.reader import MailReader
from models.printable import printable, printed
from models.ticket import Ticket
from service.api.convert import decision_out
from service.app import create_app
from service.cli.connections import connections
from service.cli.feedback import feedback
from service.cli.fetch import deliver
from service.cli.flags import REMOVED, FlagValues, flag, settings_from, with_flags
from service.cli.index import index
from service.cli.keys import keys
from service.cli.records import records
from service.cli.show import print_decision
from service.context import RequestContext
from service.decision import Decision
from service.delivery.download import parse_digest, parse_source
from service.errors import ServiceError
from service.logs import configure_logging
from service.routing.router import deadline_in
from service.server.serve import run
from service.settings import Settings

PROGRAM = "python -m service"
BAD_USAGE = 2
ROUTE_SETTINGS = ("bundle", "bundle_key", "device", "variant")
COMMAND_SETTINGS = {
    "route": ROUTE_SETTINGS,
    **dict.fromkeys(("fetch", "keys", "records", "feedback", "connections", "index"), ()),
}
INTERRUPTED = 130

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(keys, name="keys")
app.add_typer(records, name="records")
app.add_typer(feedback, name="feedback")
app.add_typer(connections, name="connections")
app.add_typer(index, name="index")


class UsageError(TicketRouterError):
    """The combination of options is invalid."""


def main(arguments: list[str]) -> int:
    """Run a command and return its exit status."""
    try:
        return typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0
    except (typer.TyperException, TicketRouterError, ServiceError) as error:
        option = getattr(error, "option_name", None)  # only typer's error about an unknown flag has it
        if option in REMOVED:
            message = f"{option} is no longer an option: {REMOVED[option]}"
        else:
            message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        message = message.replace("Value error, ", "")  # pydantic's prefix
        typer.echo(printable(f"error: {' '.join(message.split())}"), err=True)
        return BAD_USAGE


@app.callback(invoke_without_command=True)
@with_flags()
def serve(
    context: typer.Context,
    given: FlagValues,
    version: Annotated[
        bool, typer.Option("--version", help="Print which code this is: its version and commit.")
    ] = False,
) -> None:
    """Serve the REST API until SIGTERM. Commands: `route` decides one ticket, `fetch` downloads a bundle,
    `keys` creates API keys, `records` maintains the decisions on record, `feedback` imports what people decided,
    `connections` checks the connected helpdesks, `index` adds closed tickets that the desk shows as similar.

    Every option is also an environment variable: --max-batch-tokens is TICKET_ROUTER_MAX_BATCH_TOKENS.

    \b
    Examples:
      python -m service
      python -m service --bundle models/bundles/current --port 8080 --management-port 9090
      python -m service --device cuda --variant fp16
      python -m service route --subject "Invoice" --body "I was charged twice."
    """
    if version:
        return typer.echo(" ".join(build()))
    if context.invoked_subcommand is not None:
        # A flag before the command belongs to serving: applying it to the command would be a guess.
        command = context.invoked_subcommand
        for name, value in given.items():
            if value is not None:
                known = name in COMMAND_SETTINGS[command]
                advice = f"put it after `{command}`" if known else f"`{command}` has no such flag"
                raise UsageError(f"{flag(name)} stands before `{command}`: {advice}")
        return None
    settings = settings_from(given)
    configure_logging(settings.log_level)
    return run(settings)


@app.command()
@with_flags(*ROUTE_SETTINGS)
def route(
    given: FlagValues,
    eml: Annotated[Path | None, typer.Option(help="A raw mail (RFC 822).")] = None,
    subject: Annotated[str | None, typer.Option(help="The ticket's subject.")] = None,
    body: Annotated[str | None, typer.Option(help="The ticket's body, plain text.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the decision as the API's JSON.")] = False,
) -> None:
    """Decide one ticket and print the decision.

    \b
    Examples:
      python -m service route --eml mail.eml
      python -m service route --subject "Invoice" --body "I was charged twice." --json
      python -m service route --bundle models/bundles/current --body "Where is my parcel?"
    """
    ticket = _ticket(eml, subject, body)
    configure_logging("error")
    answer = decision_out(asyncio.run(_decide(settings_from(given), ticket)))
    if json:
        typer.echo(printed(answer.model_dump_json(indent=2).split("\n")))
    else:
        print_decision(answer)


@app.command()
def fetch(
    source: Annotated[str, typer.Option("--from", metavar="URL", help="Location of the archive; see the examples.")],
    digest: Annotated[str, typer.Option(metavar="sha256:HEX", help="SHA-256 of the archive.")],
    folder: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder of the bundles.")],
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Maximum size of the archive, and of the bundle.")
    ] = 8_000_000_000,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="For the download, retries included.")] = 900,
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Allow http:// to other machines.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the service's log lines.")] = False,
) -> None:
    """Fetch a bundle, packed as .tar or .tar.gz, verify it, and make FOLDER/current point at it.

    A bundle that is already in the folder is verified and kept. docs/deploy.md says how to pack and publish one.

    \b
    Examples:
      python -m service fetch --from https://files.example/bundle.tar.gz --digest sha256:... --to /bundles
      python -m service fetch --from s3://bucket/bundle.tar.gz --digest sha256:... --to /bundles
      python -m service fetch --from gs://bucket/bundle.tar.gz --digest sha256:... --to /bundles
      python -m service fetch --from az://container/bundle.tar.gz --digest sha256:... --to /bundles
      python -m service fetch --from /mnt/bundle.tar --digest sha256:... --to /bundles
    """
    archive, sha256 = parse_source(source, insecure_http), parse_digest(digest)
    try:
        deliver(archive, sha256, folder, max_bytes=max_bytes, seconds=timeout, json=json)
    except KeyboardInterrupt:
        typer.echo("stopped; no partial bundle was kept", err=True)
        raise typer.Exit(INTERRUPTED) from None


async def _decide(settings: Settings, ticket: Ticket) -> Decision:
    service = create_app(settings.model_copy(update={"records": "off"}))  # the file may be in use by a running service
    try:
        await service.start()
        return await service.router.decide(ticket, RequestContext(deadline_in(settings.request_timeout_seconds)))
    finally:
        await service.stop()


def _ticket(eml: Path | None, subject: str | None, body: str | None) -> Ticket:
    if (eml is None) == (subject is None and body is None):
        raise UsageError("give either --eml FILE, or --subject and --body (one of the two is enough)")
    if eml is None:
        return Ticket(subject=subject or "", body=body or "")
    try:
        mail = MailReader(Settings.model_fields["max_mail_bytes"].default)
        mail.feed(eml.read_bytes())
        return parse_email(mail.kept())
    except OSError as error:
        raise UsageError(f"{eml}: cannot be read ({error.strerror})") from error
