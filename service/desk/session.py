"""Sign-in sessions: a signed cookie that names a key by its digest, a person of the identity provider, or, where no key
is required, the anonymous caller."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from models.errors import TicketRouterError
from models.private_file import private_file
from service.access.access import Access
from service.access.caller import ANONYMOUS, Role
from service.access.keyring import digest_of
from service.errors import Unauthenticated
from service.settings import Settings

SESSION_SECONDS = 12 * 3600
"""A working day."""
COOKIE = "desk_session"
PATH = "/desk"
SECRET_BYTES = 32


class DeskError(TicketRouterError):
    """The desk cannot start with these settings."""


@dataclass(frozen=True, slots=True)
class Session:
    """`csrf`: what a form or a script must send with a change. It is the person's, not the cookie's, so that a page
    stays valid when the person signs in anew."""

    name: str
    roles: frozenset[Role]
    csrf: str

    @property
    def may_switch(self) -> bool:
        return Role.ADMIN in self.roles


class Sessions:
    """`with_oidc`: persons may come from the identity provider."""

    def __init__(self, access: Access, *, with_oidc: bool) -> None:
        self._access = access
        self._with_oidc = with_oidc
        self._secret = b""

    def open(self, settings: Settings) -> None:
        """Read the secret, or make one.

        Raises:
            DeskError: it cannot be read, or is too short.
        """
        self._secret = _secret(settings)

    @property
    def anyone(self) -> bool:
        """Whether nobody has to sign in."""
        return not self._access.keys_required and not self._with_oidc

    def sign_in_by_key(self, request: Request, response: Response, key: str) -> None:
        """
        Raises:
            Unauthenticated: the key is unknown, has expired, or has no role for the desk.
        """
        caller = self._access.authenticate(key.encode(errors="replace"))
        if caller.roles.isdisjoint({Role.REVIEW, Role.ADMIN}):
            raise Unauthenticated("this key has neither the role review nor the role admin", caller.name)
        self._set(request, response, {"key": digest_of(key)})

    def sign_in_person(self, request: Request, response: Response, name: str, roles: frozenset[Role]) -> None:
        """A person whom the identity provider has named."""
        self._set(request, response, {"name": name, "roles": sorted(roles)})

    def sign_in_anonymous(self, request: Request, response: Response) -> None:
        self._set(request, response, {})

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path=PATH)

    def of(self, request: Request) -> Session | None:
        """The session of a request. A key that was withdrawn, or lost its role, has none."""
        try:
            content: Mapping[str, Any] = self._serializer().loads(
                request.cookies.get(COOKIE, ""), max_age=SESSION_SECONDS
            )
        except BadSignature:
            return None
        if "key" in content:
            try:
                caller = self._access.authenticate_digest(content["key"])
            except Unauthenticated:
                return None
            return self._session(caller.name, caller.roles)
        if "name" in content:
            roles = frozenset(map(Role, content["roles"]))
            return self._session(content["name"], roles) if self._with_oidc else None
        return self._session(ANONYMOUS.name, ANONYMOUS.roles) if self.anyone else None

    def sign(self, purpose: str, content: Mapping[str, Any]) -> str:
        """For another cookie of the desk."""
        return self._serializer(purpose).dumps(content)

    def signed(self, purpose: str, value: str, seconds: int) -> Mapping[str, Any] | None:
        try:
            content: Mapping[str, Any] = self._serializer(purpose).loads(value, max_age=seconds)
        except BadSignature:
            return None
        return content

    def _session(self, name: str, roles: frozenset[Role]) -> Session | None:
        if roles.isdisjoint({Role.REVIEW, Role.ADMIN}):
            return None
        digest = hmac.new(self._secret, f"csrf:{name}".encode(), hashlib.sha256).hexdigest()
        return Session(name, roles | {Role.REVIEW}, digest[:32])

    def _set(self, request: Request, response: Response, content: Mapping[str, Any]) -> None:
        response.set_cookie(
            COOKIE,
            self._serializer().dumps(content),
            max_age=SESSION_SECONDS,
            path=PATH,
            secure=is_https(request),
            httponly=True,
            samesite="strict",
        )

    def _serializer(self, purpose: str = "session") -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret, salt=f"desk {purpose}")


def is_https(request: Request) -> bool:
    """Whether the browser speaks https, as the proxy in front says. A client that lies makes only its own cookies
    useless."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").startswith("https")


def _secret(settings: Settings) -> bytes:
    path = settings.desk_secret_file or settings.state_dir / "desk.secret"
    try:
        if settings.desk_secret_file is None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with private_file(path) as file:
                file.write(secrets.token_hex(SECRET_BYTES).encode())
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise DeskError(f"{path}: the desk's secret cannot be read ({error.strerror})") from None
    if len(secret) < SECRET_BYTES:
        raise DeskError(f"{path}: the desk's secret has fewer than {SECRET_BYTES} bytes")
    return secret
