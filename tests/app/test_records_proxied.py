"""SIGKILL of a service behind the proxy that we ship: the proxy sends the POST again, and there is one decision."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg

from tests.benchmarks.rollout.members import members
from tests.benchmarks.rollout.proxy import haproxy
from tests.support.postgres import running_postgres

TICKETS = 300


def test_ticket_without_id_that_the_proxy_sends_again_is_decided_once(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with running_postgres() as postgres:
        url = postgres.new_database("router")
        flags = ("--records", url, "--state-dir", str(tmp_path / "state"))
        with members(tiny_bundle_path, tmp_path, 2, flags) as services, haproxy(services, tmp_path) as proxy:
            sent = threading.Semaphore(0)

            def ask(number: int) -> httpx.Response:
                sent.release()
                body = {"subject": f"Parcel {number}", "body": "Where is my parcel?"}
                return httpx.post(f"http://127.0.0.1:{proxy.port}/v1/route", json=body, timeout=60)

            with ThreadPoolExecutor(16) as pool:
                answers = [pool.submit(ask, number) for number in range(TICKETS)]
                for _ in range(TICKETS // 3):
                    sent.acquire()
                services[0].kill()
                responses = [each.result() for each in answers]
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT id, request_digest, response FROM decisions").fetchall()
    assert len({row[1] for row in rows}) == len(rows), "a ticket was decided twice"
    on_record = {row[0]: row[2] for row in rows}
    answered = [each for each in responses if each.status_code == 200]
    assert len(answered) > 0.9 * TICKETS
    assert all(on_record[json.loads(each.text)["decision_id"]] == each.text for each in answered)
