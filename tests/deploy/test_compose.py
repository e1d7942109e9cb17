"""The compose files: accepted by docker-compose, hardened, and every mounted file exists."""

import functools
import json
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from service.http.problems import TABLE, TYPE_PREFIX, Problem
from service.settings import Settings
from tests.deploy.compose import FOLDER, VARIABLES, mounted, rendered, services

ROUTERS = ("router-1", "router-2", "router-3")
RECORDS = ("-f", "compose.yaml", "-f", "compose.records.yaml", "--profile", "three")
TLS = ("-f", "compose.yaml", "-f", "compose.tls.yaml")


@functools.cache
def config(*flags: str) -> dict[str, Any]:
    run = rendered(*flags)
    assert run.returncode == 0, run.stderr
    content: dict[str, Any] = yaml.safe_load(run.stdout)
    return content


def test_one_service_is_the_default_and_a_profile_adds_two() -> None:
    started = {name for name, service in services().items() if "profiles" not in service}
    assert started == {"router-1", "proxy", "prometheus", "grafana"}
    assert set(config("--profile", "three")["services"]) == started | set(ROUTERS)


def test_the_routers_differ_only_in_their_state_folder() -> None:
    """Two services with one state folder would replace each other's TensorRT engines."""
    content = config("--profile", "three")["services"]
    one, two, three = (json.dumps(content[name] | {"profiles": None}, sort_keys=True) for name in ROUTERS)
    assert one == two.replace("state-2", "state-1") == three.replace("state-3", "state-1")


def test_a_certificate_opens_a_port_to_all() -> None:
    proxy = config(*TLS)["services"]["proxy"]
    assert proxy["environment"]["ROUTER_CERTIFICATES"] == "/certificates"
    assert any("/certificates:/certificates" in str(volume) for volume in proxy["volumes"])


def test_the_services_share_one_record_and_one_password_with_its_database() -> None:
    content = config(*RECORDS)["services"]
    database = content["records"]
    for name in ROUTERS:
        variables = content[name]["environment"]
        settings = Settings(records=variables["TICKET_ROUTER_RECORDS"])
        url = make_url(settings.records)
        assert (url.host, url.username) == ("records", database["environment"]["POSTGRES_USER"])
        assert url.database == database["environment"]["POSTGRES_USER"]  # the image's default
        password = f"/password:{variables['TICKET_ROUTER_RECORDS_PASSWORD_FILE']}:ro"
        assert password in content[name]["volumes"]
        assert password in database["volumes"]
        assert any(volume.endswith(":/state:rw") for volume in content[name]["volumes"])
    assert variables["TICKET_ROUTER_MANAGEMENT_HOST"] == "0.0.0.0"  # what compose.yaml sets is still there
    assert database["environment"]["POSTGRES_PASSWORD_FILE"] == variables["TICKET_ROUTER_RECORDS_PASSWORD_FILE"]
    assert "ports" not in database
    assert list(database["networks"]) == ["routers"]


@pytest.mark.parametrize(
    ("missing", "flags"),
    [("GRAFANA_PASSWORD", TLS), ("ROUTER_CERTIFICATES", TLS), ("ROUTER_RECORDS_PASSWORD", RECORDS)],
)
def test_a_missing_variable_prevents_the_start_and_is_named(missing: str, flags: tuple[str, ...]) -> None:
    run = rendered(*flags, variables={name: value for name, value in VARIABLES.items() if name != missing})
    assert run.returncode != 0
    assert f"set {missing}" in run.stderr


def test_containers_have_write_access_only_where_they_need_it() -> None:
    for name, service in config(*RECORDS)["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        # the service's own image has a health check, and is built here
        assert name in ROUTERS or ("healthcheck" in service and ":" in service["image"]), name


def test_only_the_proxy_is_published_beyond_this_machine() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published.pop("proxy") == ["${ROUTER_PUBLISH:-127.0.0.1:8000}:8000"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_every_mounted_file_exists() -> None:
    paths = [path for name in ("proxy", "prometheus", "grafana") for path in mounted(name).values()]
    assert len(paths) == 7
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("path", sorted((FOLDER / "errors").iterdir()), ids=lambda path: path.name)
def test_a_response_of_the_proxy_has_the_services_format(path: Any) -> None:
    """Status and code are in the service's table, except for two that only a proxy can give."""
    head, _, body = path.read_bytes().decode().rpartition("\r\n\r\n")
    problem = Problem.model_validate_json(body)
    assert str(problem.status) == path.stem
    assert problem.type == TYPE_PREFIX + problem.code
    by_code = {kind.code: kind for kind in TABLE.values()} | {"internal_error": None}
    kind = by_code[problem.code]
    assert kind is None or kind.title == problem.title
    if kind is not None and problem.status != 429:
        assert kind.status == problem.status
    if head:
        assert f"Content-Length: {len(body.encode())}" in head
        assert "Content-Type: application/problem+json" in head
