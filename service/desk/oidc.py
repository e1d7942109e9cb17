"""Signing in by an identity provider: OpenID Connect's code flow with PKCE, by Authlib."""

from collections.abc import Mapping
from typing import Any, cast

import structlog
from authlib.integrations.starlette_client import OAuth, OAuthError, StarletteOAuth2App
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service.access.audit import UNKNOWN, audit
from service.access.caller import Role
from service.desk.pages import PageError, Pages, local_path
from service.desk.session import PATH, DeskError, is_https
from service.settings import Settings

COOKIE = "desk_oidc"
COOKIE_PATH = f"{PATH}/oidc"
FLOW_SECONDS = 600
CALL_SECONDS = 10.0
NAME_CHARACTERS = 100

_log = structlog.get_logger()


class Oidc:
    """`settings`: with `desk_oidc_issuer`.

    Raises:
        DeskError: a setting beside it is missing.
    """

    def __init__(self, settings: Settings, pages: Pages) -> None:
        self._issuer = (settings.desk_oidc_issuer or "").rstrip("/")
        if settings.desk_oidc_client_id is None or settings.desk_oidc_client_secret_file is None:
            raise DeskError("--desk-oidc-issuer needs --desk-oidc-client-id and --desk-oidc-client-secret-file")
        self._settings = settings
        self._pages = pages
        self._client: StarletteOAuth2App | None = None

    def routes(self) -> list[Route]:
        return [Route("/oidc/start", self.begin), Route("/oidc/callback", self.callback)]

    def open(self) -> None:
        """
        Raises:
            DeskError: the secret cannot be read.
        """
        path = self._settings.desk_oidc_client_secret_file
        assert path is not None
        try:
            secret = path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise DeskError(f"{path}: the secret of the identity provider cannot be read") from None
        self._client = cast(
            StarletteOAuth2App,
            OAuth().register(
                "desk",
                client_id=self._settings.desk_oidc_client_id,
                client_secret=secret,
                server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
                client_kwargs={
                    "scope": "openid profile email",
                    "code_challenge_method": "S256",
                    "timeout": CALL_SECONDS,
                },
            ),
        )

    async def begin(self, request: Request) -> Response:
        client = await self._checked_client()
        scheme = "https" if is_https(request) else "http"
        wanted = local_path(request.query_params.get("next", ""))
        request.scope["session"] = {}  # of Authlib: state, nonce and verifier
        redirect = await client.authorize_redirect(request, f"{scheme}://{request.url.netloc}{COOKIE_PATH}/callback")
        response = RedirectResponse(redirect.headers["location"], 303)
        response.set_cookie(
            COOKIE,
            self._pages.sessions.sign("oidc", {"flow": request.scope["session"], "next": wanted}),
            max_age=FLOW_SECONDS,
            path=COOKIE_PATH,
            secure=is_https(request),
            httponly=True,
            samesite="lax",  # the provider's page leads back here
        )
        return response

    async def callback(self, request: Request) -> Response:
        content = self._pages.sessions.signed("oidc", request.cookies.get(COOKIE, ""), FLOW_SECONDS)
        if content is None:
            raise PageError(400, "This sign-in took too long, or began elsewhere: begin again.")
        request.scope["session"] = dict(content["flow"])
        client = await self._checked_client()
        try:
            token: Mapping[str, Any] = await client.authorize_access_token(request)
        except (OAuthError, JoseError) as error:
            # Its description may hold what a stranger wrote.
            _log.warning("identity provider refused", cause=type(error).__name__)
            audit(UNKNOWN, "sign_in", "unauthenticated")
            raise PageError(401, "The identity provider did not let you in: begin again.") from None
        except Exception as error:
            raise self._away(error) from None
        claims: Mapping[str, Any] = token.get("userinfo") or {}
        name, roles = person(claims, self._settings)
        if not roles:
            audit(name, "sign_in", "forbidden")
            raise PageError(403, f"{name} has no role here: the team that runs this service can give one.")
        # A page, not a redirect: after the provider's, browsers would not send a strict cookie along.
        response = self._pages.render(request, "signed_in.html", next=content["next"])
        self._pages.sessions.sign_in_person(request, response, name, roles)
        response.delete_cookie(COOKIE, path=COOKIE_PATH)
        return response

    async def _checked_client(self) -> StarletteOAuth2App:
        assert self._client is not None
        try:
            metadata = await self._client.load_server_metadata()
        except Exception as error:
            raise self._away(error) from None
        if str(metadata.get("issuer")).rstrip("/") != self._issuer:
            self.open()  # a new client: the old one keeps this metadata, also after the provider is mended
            _log.error("identity provider has another issuer", issuer=str(metadata.get("issuer"))[:200])
            raise PageError(503, "The identity provider is not the one that is set; the log has its issuer.")
        known = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [
            each for each in known if each != "none" and not each.startswith("HS")
        ]
        return self._client

    def _away(self, error: Exception) -> PageError:
        _log.warning("identity provider does not answer", cause=type(error).__name__)
        return PageError(503, "The identity provider does not answer: try again.")


def person(claims: Mapping[str, Any], settings: Settings) -> tuple[str, frozenset[Role]]:
    """Name and roles. The name has an @, which names of keys have not."""
    verified = claims.get("email") if claims.get("email_verified") is not False else None
    name = str(verified or f"{claims.get('preferred_username') or claims.get('sub')}@oidc")[:NAME_CHARACTERS]
    values = claims.get(settings.desk_oidc_claim, ())
    given = {values} if isinstance(values, str) else set(map(str, values)) if isinstance(values, list) else set()
    roles = set()
    if settings.desk_oidc_review is None or settings.desk_oidc_review in given:
        roles.add(Role.REVIEW)
    if settings.desk_oidc_admin is not None and settings.desk_oidc_admin in given:
        roles |= {Role.REVIEW, Role.ADMIN}
    return name if "@" in name else f"{name}@oidc", frozenset(roles)
