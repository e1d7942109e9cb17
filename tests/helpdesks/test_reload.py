"""A connections file that changes while the service runs."""

from pathlib import Path

from tests.helpdesks.test_flow import Labels, connected, decision_of, finished, reason, routable, status
from tests.support.helpdesk import SECRET, Helpdesk, connections_file, deliver, payload
from tests.support.waiting import wait_until


def test_changed_mode_and_mapping_take_effect_without_a_restart(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels, mode="shadow") as service:
        (text,) = routable(service)
        deliver(service, payload(desk.add("1", body=text, subject="")), "a")
        label = decision_of(service, text)[1]
        connections_file(tmp_path, desk.url, {**labels, label: "T-old"}, mode="route")
        wait_until(lambda: (status(service)["mode"], status(service)["fault"]) == ("route", None))
        deliver(service, payload(desk.add("2", body=text, subject="")), "b")
        wait_until(lambda: finished(service, 1))
        assert [desk.tickets[number]["team"] for number in "12"] == [None, "T-old"]
        connections_file(tmp_path, desk.url, labels, mode="off")
        wait_until(lambda: status(service)["mode"] == "off")
        assert reason(deliver(service, payload(desk.add("3", body=text)), "c")) == ("ignored", "off")


def test_file_with_a_fault_keeps_the_connections_and_says_why(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        path = connections_file(tmp_path, desk.url, labels, mode="rout")
        wait_until(lambda: service.management("/admin/status").json()["connections_fault"] is not None)
        fault = service.management("/admin/status").json()["connections_fault"]
        assert fault == f"{path}: [desk] mode: Input should be 'off', 'shadow', 'suggest' or 'route'"
        assert service.samples()["ticket_router_connections_last_reload_successful"] == 0
        deliver(service, payload(desk.add("1", body=text, subject="")), "a")
        wait_until(lambda: bool(desk.changes))
        lines = [line for line in service.events if "connections file refused" in str(line.get("event"))]
        assert [line["cause"] for line in lines] == [fault]
        connections_file(tmp_path, desk.url, labels)
        wait_until(lambda: service.management("/admin/status").json()["connections_fault"] is None)


def test_new_secret_in_its_file_replaces_the_old_one(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another-secret-of-the-calls")
    path = connections_file(tmp_path, desk.url, labels)
    by_file = path.read_text().replace('secret = { env = "DESK_SECRET" }', f'secret = {{ file = "{secret}" }}')
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        path.write_text(by_file)
        body = payload(desk.add("1", state="closed"))
        wait_until(lambda: deliver(service, body, "a").status_code == 401)
        secret.write_text(SECRET)
        wait_until(lambda: deliver(service, body, "b").status_code == 200)


def test_connections_come_and_go(tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        path = tmp_path / "connections.toml"
        path.write_text(path.read_text().replace("[desk", "[other"))
        body = payload(desk.add("1", state="closed"))
        wait_until(lambda: deliver(service, body, "a").status_code == 404)
        wait_until(lambda: status(service)["name"] == "other" and status(service)["fault"] is None)


def test_label_that_the_bundle_does_not_have_is_named_in_the_logs(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, {**labels, "biling": "T-old"}) as service:
        text = "connection names what the bundle does not have"
        (line,) = (each for each in service.events if each.get("event") == text)
    assert line["names"] == ["fields.department.targets.biling"]


def test_writes_of_a_removed_connection_wait_and_are_named_in_the_logs(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    def waiting() -> list[str]:
        text = "writes wait for a connection that is not in the file"
        return [each["connection"] for each in service.events if each.get("event") == text]

    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        desk.status = 503
        deliver(service, payload(desk.add("1", body=text, subject="")), "a")
        path = tmp_path / "connections.toml"
        before = path.read_text()
        path.write_text(before.replace("[desk", "[other"))
        wait_until(lambda: waiting() == ["desk"])
        desk.status = None
        path.write_text(before)
        wait_until(lambda: bool(desk.changes))
