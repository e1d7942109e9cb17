"""The sockets: bound before anything is loaded, listening only when the service is ready."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from models.errors import TicketRouterError

Address = IPv4Address | IPv6Address

BACKLOG = 2048


class PortError(TicketRouterError):
    """A port cannot be bound."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: until the service is ready, clients are refused and not kept waiting."""
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
    """Two sockets may be bound to one port as long as neither listens, so that it is taken may show only now."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        port = listener.getsockname()[1]
        raise PortError(f"cannot listen on port {port}: {error.strerror}; choose another") from error


def refuse_one_port(public: socket.socket, management: socket.socket) -> None:
    """Two sockets may be bound to one port until the first listens, so binding them has not shown it."""
    (host, port, *_), (other, other_port, *_) = public.getsockname(), management.getsockname()
    if port == other_port and _overlap(ip_address(host), ip_address(other)):
        raise PortError(f"--port and --management-port are both {port}; give each its own")


def _overlap(one: Address, other: Address) -> bool:
    """Equal, or one is any address; IPv6's any takes IPv4 too."""
    pairs = ((one, other), (other, one))
    return one == other or any(any_.is_unspecified and (any_.version == 6 or of.version == 4) for any_, of in pairs)
