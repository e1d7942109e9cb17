"""What can go wrong between a request and its decision, by meaning.

None of these knows a status: `http/problems.py` holds the one table. A message is a constant of this code or names a
setting; it never repeats anything the client sent.
"""

from dataclasses import dataclass

RETRY_BOUNDS = (1.0, 59.0)
"""Retry-After, in seconds: below one nothing has drained, and who is told a minute takes the service for gone."""


def within_bounds(seconds: float) -> float:
    low, high = RETRY_BOUNDS
    return min(max(seconds, low), high)


class ServiceError(Exception):
    """Base of everything the service answers with a problem of its own."""


class Overloaded(ServiceError):
    """More waits than can be answered in time. `retry_after`: when it may have drained, in seconds, is a guess."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("more waits than can be answered in time; try again after Retry-After seconds")
        self.retry_after = retry_after


class TooManyBodies(ServiceError):
    """So many large bodies are on their way that one more would have no room in memory."""

    def __init__(self) -> None:
        super().__init__("too many large bodies are on their way; try again after Retry-After seconds")


class DeadlinePassed(ServiceError):
    """The deadline passed while the ticket waited, so it was never run."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before the ticket's turn came; it was not processed")


class Unauthenticated(ServiceError):
    """No key, or none that is valid. `name`: whose it was, where that is known."""

    def __init__(self, detail: str, name: str | None = None) -> None:
        super().__init__(detail)
        self.name = name


class Forbidden(ServiceError):
    """The key is valid and has not the role."""

    def __init__(self, role: str) -> None:
        super().__init__(f"this key has not the role {role}, which this route asks for")


class FromAPage(ServiceError):
    """A web page somewhere made a browser ask; whoever sits at it has not."""

    def __init__(self) -> None:
        super().__init__("an administrator's request must not come from a web page (it has an Origin header)")


class KeyInQuery(ServiceError):
    """A key in the address. It stands in logs of proxies and browsers now, so it must not work."""

    def __init__(self) -> None:
        super().__init__("a key belongs into the Authorization header; replace this one, addresses are kept in logs")


class RateLimited(ServiceError):
    """The key has used up its rate. `retry_after`: when it may go on, in seconds."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("this key sends more tickets than it may; try again after Retry-After seconds")
        self.retry_after = within_bounds(wait_seconds)


class NotReady(ServiceError):
    """No bundle is being served yet, or not any more."""


class ShuttingDown(ServiceError):
    """The process stops; what still waited is given back unprocessed."""

    def __init__(self) -> None:
        super().__init__("the service is stopping; send the request again, another instance will take it")


class InferenceFailed(ServiceError):
    """The model run raised. Every ticket of that batch gets one of these; the cause is in the log."""

    def __init__(self) -> None:
        super().__init__("the model run failed; the cause is in the service's log under this request's time")


class ClientGone(ServiceError):
    """The client hung up before its answer was ready."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection")


class BodyTooLarge(ServiceError):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the request body may have at most {limit_bytes} bytes")


class UnsupportedMediaType(ServiceError):
    """The body is of no accepted kind, in another charset, or of several kinds at once. `detail`: which, a constant."""


class UnsupportedEncoding(ServiceError):
    def __init__(self) -> None:
        super().__init__("send the body as it is, without Content-Encoding")


class RequestTimeout(ServiceError):
    """The body did not come in within the time its client, or the service, allows."""

    def __init__(self) -> None:
        super().__init__("the request's body did not arrive in time; nothing was processed")


class MalformedHttp(ServiceError):
    """What came in is no HTTP/1.1 request, or one that two parsers could read differently. `detail`: a constant."""

    def __init__(self, detail: str = "this is not a well-formed HTTP/1.1 request; the connection is closed") -> None:
        super().__init__(detail)


class UriTooLong(ServiceError):
    def __init__(self) -> None:
        super().__init__("the request's target is too long; the connection is closed")


class HeadTooLarge(ServiceError):
    def __init__(self) -> None:
        super().__init__("the request has too many headers, or too large ones; the connection is closed")


class BodyInPieces(ServiceError):
    """A chunked body is mostly chunk sizes: reading it would cost far more than its content is worth."""

    def __init__(self) -> None:
        super().__init__("the body comes in too many small chunks; send larger ones, or declare its length")


class TooManyConnections(ServiceError):
    """Every connection that may be open has a request at work."""

    def __init__(self) -> None:
        super().__init__("too many connections are open; try again after Retry-After seconds")


class InvalidHeader(ServiceError):
    """A request header this API reads is not well-formed. Names the header, not its value."""


class MalformedJson(ServiceError):
    """Not JSON as RFC 8259 has it, or JSON that is not read. `detail`: a constant, and the place where it is known."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: where (known field names only), a stable code, and a sentence."""

    field: str
    code: str
    message: str


class InvalidRequest(ServiceError):
    """JSON of another shape than the schema's."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("the request does not have the documented shape; see errors")
        self.errors = errors


class ReloadRefused(ServiceError):
    """This bundle must not or cannot serve here; the one before goes on. The message says why, and names its folder."""


class ReloadRunning(ServiceError):
    def __init__(self) -> None:
        super().__init__("another reload is under way; ask again when it is done")


class NoSuchRoute(ServiceError):
    def __init__(self) -> None:
        super().__init__("there is nothing at this path")


class MethodNotAllowed(ServiceError):
    """`allow` is the value of the Allow header."""

    def __init__(self, allow: str) -> None:
        super().__init__("this path answers other methods; see the Allow header")
        self.allow = allow
