"""The errors between a request and its decision, classified by meaning.

They do not know HTTP statuses: the table is in `http/problems.py`. A message is a constant or names a setting; it never
repeats content that the client sent.
"""

from dataclasses import dataclass

RETRY_BOUNDS = (1.0, 59.0)
"""Bounds of Retry-After, in seconds. In less than one second nothing drains; clients take a minute for an outage."""


def within_bounds(seconds: float) -> float:
    low, high = RETRY_BOUNDS
    return min(max(seconds, low), high)


class ServiceError(Exception):
    """Base class of all errors that have their own problem type."""


class Overloaded(ServiceError):
    """More tickets wait than can be answered in time. `retry_after`: estimated seconds until the queue has drained."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("more tickets wait than can be answered in time; try again after Retry-After seconds")
        self.retry_after = retry_after


class TooManyBodies(ServiceError):
    """The memory for large request bodies is used up by bodies that are being received."""

    def __init__(self) -> None:
        super().__init__("too many large bodies are being received; try again after Retry-After seconds")


class DeadlinePassed(ServiceError):
    """The deadline passed while the ticket waited, so it was never run."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before the ticket's turn came; it was not processed")


class Unauthenticated(ServiceError):
    """No key, or no valid key. `name`: the name of the key, where known."""

    def __init__(self, detail: str, name: str | None = None) -> None:
        super().__init__(detail)
        self.name = name


class Forbidden(ServiceError):
    """The key is valid and lacks the role."""

    def __init__(self, role: str) -> None:
        super().__init__(f"this key lacks the role {role}, which this route requires")


class FromAPage(ServiceError):
    """A web page made the browser send this request; the user did not."""

    def __init__(self) -> None:
        super().__init__("an administrator's request must not come from a web page (it has an Origin header)")


class KeyInQuery(ServiceError):
    """A key in the URL. Proxies and browsers log URLs, so such a key must not work."""

    def __init__(self) -> None:
        super().__init__("a key belongs in the Authorization header; replace this key, since URLs are kept in logs")


class RateLimited(ServiceError):
    """The key has used up its rate. `retry_after`: seconds until it may send again."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("this key sends more tickets than its rate allows; try again after Retry-After seconds")
        self.retry_after = within_bounds(wait_seconds)


class RecordsUnavailable(ServiceError):
    """The decision could not be put on record, so it is not given."""

    def __init__(self) -> None:
        super().__init__("decisions cannot be put on record now; send the request again after Retry-After seconds")


class RecordsFailed(ServiceError):
    """The database refused this one decision; the cause is in the log."""

    def __init__(self) -> None:
        super().__init__("the decision could not be put on record; the cause is in the service's log")


class KeyReused(ServiceError):
    """The `Idempotency-Key` belongs to another request."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for a request with another content; take a new key")


class RecordsOff(ServiceError):
    """This service keeps no record."""

    def __init__(self) -> None:
        super().__init__("this service records no decisions; its setting records is off")


class UnknownDecision(ServiceError):
    def __init__(self) -> None:
        super().__init__("there is no decision with this id on record")


class UnknownTicket(ServiceError):
    def __init__(self) -> None:
        super().__init__("there is no decision about this ticket on record")


class UnknownConnection(ServiceError):
    def __init__(self) -> None:
        super().__init__("this service has no connection of this name")


class NotReady(ServiceError):
    """No bundle is served: the service is starting or stopping."""


class ShuttingDown(ServiceError):
    """The process stops; waiting tickets are refused unprocessed."""

    def __init__(self) -> None:
        super().__init__("the service is stopping; send the request again, another instance will take it")


class InferenceFailed(ServiceError):
    """The model run raised. Every ticket of that batch gets its own instance; the cause is in the log."""

    def __init__(self) -> None:
        super().__init__("the model run failed; the cause is in the service's log under this request's time")


class ClientGone(ServiceError):
    """The client closed the connection before its answer was ready."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection")


class BodyTooLarge(ServiceError):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the request body may have at most {limit_bytes} bytes")


class UnsupportedMediaType(ServiceError):
    """The body has no accepted media type, another charset, or several media types. `detail`: the cause, a constant."""


class UnsupportedEncoding(ServiceError):
    def __init__(self) -> None:
        super().__init__("send the body without Content-Encoding")


class RequestTimeout(ServiceError):
    """The body did not arrive within the time that the client or the service allows."""

    def __init__(self) -> None:
        super().__init__("the request's body did not arrive in time; nothing was processed")


class MalformedHttp(ServiceError):
    """The bytes are no HTTP/1.1 request, or two parsers could read them differently. `detail`: a constant."""

    def __init__(self, detail: str = "this is not a well-formed HTTP/1.1 request; the connection is closed") -> None:
        super().__init__(detail)


class UriTooLong(ServiceError):
    def __init__(self) -> None:
        super().__init__("the request's target is too long; the connection is closed")


class HeadTooLarge(ServiceError):
    def __init__(self) -> None:
        super().__init__("the request has too many headers, or too large ones; the connection is closed")


class BodyInPieces(ServiceError):
    """A chunked body consists mostly of chunk sizes: reading it would cost far more than its content justifies."""

    def __init__(self) -> None:
        super().__init__("the body has too many small chunks; send larger ones, or declare its length")


class TooManyConnections(ServiceError):
    """Every allowed connection is open and has a request in progress."""

    def __init__(self) -> None:
        super().__init__("too many connections are open; try again after Retry-After seconds")


class InvalidHeader(ServiceError):
    """A request header that this API reads is malformed. The message names the header, not its value."""


class MalformedJson(ServiceError):
    """Not JSON by RFC 8259, or JSON that is not accepted. `detail`: a constant, with the position where known."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in a request: the field (known names only), a stable code, and a sentence."""

    field: str
    code: str
    message: str


class InvalidRequest(ServiceError):
    """The JSON does not match the schema."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("the request does not have the documented shape; see errors")
        self.errors = errors


class ReloadRefused(ServiceError):
    """This bundle must not or cannot serve here; the previous one continues. The message says why and names its
    folder."""


class ChallengerRefused(ServiceError):
    """This bundle cannot be put beside the serving one. The message says why, and may name its folder."""


class ReloadRunning(ServiceError):
    def __init__(self) -> None:
        super().__init__("another reload is in progress; try again when it is done")


class NoSuchRoute(ServiceError):
    def __init__(self) -> None:
        super().__init__("there is no resource at this path")


class MethodNotAllowed(ServiceError):
    """`allow` is the value of the Allow header."""

    def __init__(self, allow: str) -> None:
        super().__init__("this path does not allow this method; see the Allow header")
        self.allow = allow
