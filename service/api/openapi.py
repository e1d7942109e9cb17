"""The OpenAPI document: FastAPI's document plus the request bodies, which FastAPI does not know (routes read bytes)."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.http.authorize import SECURITY_SCHEMES
from service.http.headers import JSON, MAIL, SECONDS, TIMEOUT_HEADER
from service.records.identity import HEADER, KEY

Document = dict[str, Any]
_REF = "#/components/schemas/{model}"


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_PARAMETERS = [
    # No pattern: an id of another form is not an error; the service replaces it.
    _header(
        "X-Request-ID",
        "Returned unchanged if it has 1 to 64 characters of A-Z a-z 0-9 . _ -; else the service generates an id.",
        {"type": "string"},
    ),
    _header(
        TIMEOUT_HEADER,
        "How long the client waits, in seconds, such as 2 or 0.5; limited by a setting.",
        {"type": "string", "pattern": f"^{SECONDS}$"},
    ),
]
_IDEMPOTENCY = [
    _header(
        HEADER,
        "A request with the same key and content gets the same decision. Without it, the ticket's id and content, or "
        "the content within some seconds, are the key.",
        {"type": "string", "pattern": f"^{KEY}$"},
    ),
]


def json_body(model: type[BaseModel], *, keyed: bool = True) -> dict[str, Any]:
    """`openapi_extra` of a route with this model as its body. `keyed`: it takes an `Idempotency-Key`."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    parameters = [*_PARAMETERS, *(_IDEMPOTENCY if keyed else ())]
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}, "parameters": parameters}


def mail_body(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route with this model or a raw mail as its body."""
    extra = json_body(model)
    extra["requestBody"]["content"][MAIL] = {"schema": {"type": "string", "format": "binary"}}
    return extra


def openapi_document(app: FastAPI, *inputs: type[BaseModel]) -> Document:
    """The document of the public API."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, schema = models_json_schema([(model, "validation") for model in inputs], ref_template=_REF)
    document["components"]["schemas"].update(schema["$defs"])
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    return document


def documented_statuses(app: FastAPI) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Path → method and documented statuses of each route."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    return {route.path: (min(route.methods or ()), (200, *(int(code) for code in route.responses))) for route in routes}
