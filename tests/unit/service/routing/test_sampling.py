import itertools

import pytest

from service.routing.sampling import Purpose, is_in_share

IDS = [f"T-{number}" for number in range(10_000)]
PURPOSES: tuple[Purpose, ...] = ("holdout", "canary", "shadow")


@pytest.mark.parametrize("purpose", PURPOSES)
def test_share_of_ten_thousand_tickets_is_within_a_point_and_a_larger_one_contains_it(purpose: Purpose) -> None:
    sides = [{each for each in IDS if is_in_share(share, purpose, each, b"")} for share in (0, 0.02, 0.1, 0.5, 1)]
    assert [len(side) for side in sides] == pytest.approx([0, 200, 1000, 5000, 10_000], abs=100)
    assert all(smaller <= larger for smaller, larger in itertools.pairwise(sides))


def test_shares_of_two_purposes_are_independent() -> None:
    for one, other in itertools.combinations(PURPOSES, 2):
        both = sum(is_in_share(0.5, one, each, b"") and is_in_share(0.5, other, each, b"") for each in IDS)
        assert both == pytest.approx(2500, abs=200)


def test_ticket_without_id_is_in_the_share_by_its_text() -> None:
    texts = [number.to_bytes(8) for number in range(1000)]
    inside = [is_in_share(0.5, "canary", None, each) for each in texts]
    assert 400 < sum(inside) < 600
    assert len({is_in_share(0.5, "canary", "T-1", each) for each in texts}) == 1
