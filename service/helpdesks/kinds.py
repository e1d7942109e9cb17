"""The adapters by kind."""

from collections.abc import Mapping

from pydantic import ValidationError

from service.helpdesks.adapter import Adapter
from service.helpdesks.adapters.django_helpdesk import DjangoHelpdesk
from service.helpdesks.adapters.generic import Generic
from service.helpdesks.adapters.zendesk import Zendesk
from service.helpdesks.connections import Connection, ConnectionsError, lines_of

ADAPTERS: Mapping[str, type[Adapter]] = {
    "zendesk": Zendesk,
    "django_helpdesk": DjangoHelpdesk,
    "generic": Generic,
}


def adapter_of(connection: Connection) -> Adapter:
    """Raises: ConnectionsError: the options of the connection do not fit its kind."""
    kind = ADAPTERS.get(connection.table.kind)
    if kind is None:
        raise ConnectionsError(f"[{connection.name}] kind: {connection.table.kind} is not available")
    try:
        return kind(connection, kind.Options.model_validate(connection.table.options))
    except ValidationError as error:
        lines = lines_of(error, "options")
        raise ConnectionsError(*(f"[{connection.name}] {line}" for line in lines)) from None
