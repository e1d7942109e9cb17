"""`POST /admin/automation`: what a request asks for, held against the bundle that serves."""

from collections.abc import Collection, Mapping

from service.api.schemas import AutomationRequest, SliceRequest
from service.automation.switches import Selector, Switch, normal_address, normal_domain
from service.errors import FieldError, InvalidRequest

Labels = Mapping[str, Collection[str]]


def selector_of(
    request: AutomationRequest, labels: Labels, connections: Collection[str], in_force: Collection[Switch]
) -> Selector:
    """The request's selector in its normal form. `labels`: by field, of the bundle that serves. `connections`: by name.
    A switch in force can be taken back when the bundle has its label no longer.

    Raises:
        InvalidRequest: a field or label that the bundle does not have, a helpdesk that is not connected, or a malformed
            domain or address.
    """
    wanted = request.slice
    selector: Selector = {}
    if request.label is not None:
        selector = {"label": request.label}
    elif wanted is not None:
        selector = _slice(wanted, request.field)
    if (request.field, selector) not in [(each.field, each.selector) for each in in_force]:
        _check(request.field, request.label, labels, "field", "label")
        if "value" in selector:
            _check(selector["field"], selector["value"], labels, "slice.field", "slice.value")
        if "connection" in selector and selector["connection"] not in connections:
            raise _invalid("slice.connection", "unknown_connection", "No helpdesk is connected under this name")
    return selector


def _slice(wanted: SliceRequest, field: str) -> Selector:
    if wanted.connection is not None:
        return {"connection": wanted.connection}
    if wanted.sender_domain is not None:
        if (domain := normal_domain(wanted.sender_domain)) is None:
            raise _invalid("slice.sender_domain", "malformed_domain", "Give a domain, such as example.com")
        return {"sender_domain": domain}
    if wanted.mailbox is not None:
        if (address := normal_address(wanted.mailbox)) is None:
            raise _invalid("slice.mailbox", "malformed_address", "Give an address, such as support@example.com")
        return {"mailbox": address}
    assert wanted.field is not None
    assert wanted.value is not None
    if wanted.field == field:
        raise _invalid("slice.field", "same_field", "A value of the same field is a label: give label")
    return {"field": wanted.field, "value": wanted.value}


def _check(field: str, label: str | None, labels: Labels, field_name: str, label_name: str) -> None:
    if field not in labels:
        raise _invalid(field_name, "unknown_field", "The bundle predicts no such field: GET /v1/model")
    if label is not None and label not in labels[field]:
        message = "This is no label of the field in the bundle being served: GET /v1/model"
        raise _invalid(label_name, "unknown_label", message)


def _invalid(field: str, code: str, message: str) -> InvalidRequest:
    return InvalidRequest((FieldError(field, code, message),))
