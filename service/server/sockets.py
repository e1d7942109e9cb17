"""The listening sockets: bound before the bundle is loaded, listening only when the service is ready."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from models.errors import TicketRouterError

Address = IPv4Address | IPv6Address

BACKLOG = 2048


class PortError(TicketRouterError):
    """A port cannot be bound or listened on."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: until the service is ready, clients are refused instead of waiting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortError(f"cannot listen on {host} port {port}: {error.strerror}; choose another") from error
    return listener


def listen(listener: socket.socket) -> None:
    """Start listening. A port in use may be noticed only here: two sockets can be bound to one port until one
    listens."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        port = listener.getsockname()[1]
        raise PortError(f"cannot listen on port {port}: {error.strerror}; choose another") from error


def refuse_one_port(public: socket.socket, management: socket.socket) -> None:
    """Refuse the same port for both: `bind` does not notice this, because neither socket listens yet."""
    (host, port, *_), (other_host, other_port, *_) = public.getsockname(), management.getsockname()
    if port == other_port and _overlap(ip_address(host), ip_address(other_host)):
        raise PortError(f"--port and --management-port are both {port}; give each its own")


def _overlap(one: Address, other: Address) -> bool:
    """Whether the addresses are equal, or one is the wildcard address; IPv6's wildcard includes IPv4."""
    if one == other:
        return True
    return any(
        wildcard.is_unspecified and (wildcard.version == 6 or address.version == 4)
        for wildcard, address in ((one, other), (other, one))
    )
