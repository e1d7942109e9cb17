"""`service.http.room`: who leaves when a body on its way finds no room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import TooManyBodies
from service.http.room import FREE_BYTES, GRACE_SECONDS, Body, Room

LIMIT = 100


class Scene:
    """A room for so many bytes, a clock, and who had to leave."""

    def __init__(self) -> None:
        self.now = 0.0
        self.room = Room(lambda: self.now, LIMIT)
        self.left: list[str] = []

    def body(self, name: str, caller: str | None = None) -> Body:
        return Body(caller, lambda: self.left.append(name))

    def holds(self, name: str, counted: int, caller: str | None = None) -> Body:
        body = self.body(name, caller)
        self.room.hold(body, FREE_BYTES + counted)
        return body


def test_who_has_held_room_for_long_makes_way() -> None:
    """The longest of them, and no more than are needed."""
    scene = Scene()
    scene.holds("first", 50)
    scene.now = 0.1
    scene.holds("second", 50)
    scene.now = GRACE_SECONDS
    scene.holds("third", 30)
    assert scene.left == ["first"]
    scene.holds("fourth", 20)
    assert scene.left == ["first"]


def test_in_a_flood_of_quick_ones_the_newest_is_refused() -> None:
    """Those that came before are nearly here: to end them would waste what has come."""
    scene = Scene()
    scene.holds("first", 90)
    scene.now = GRACE_SECONDS - 0.1
    with pytest.raises(TooManyBodies):
        scene.holds("second", 20)
    assert scene.left == []
    scene.holds("third", 10)  # what was refused holds nothing


def test_the_caller_with_the_most_makes_way_for_another_at_once() -> None:
    """Its bodies keep its own out, and not everybody's."""
    scene = Scene()
    scene.holds("a1", 40, "a")
    scene.holds("a2", 50, "a")
    scene.holds("b1", 30, "b")
    assert scene.left == ["a1"]
    with pytest.raises(TooManyBodies):
        scene.holds("a3", 30, "a")


def test_small_bodies_take_no_room() -> None:
    """However many there are, and however full it is."""
    scene = Scene()
    scene.holds("large", LIMIT)
    for number in range(1000):
        scene.room.hold(scene.body(f"small {number}"), FREE_BYTES)
    assert scene.left == []


def test_whoever_had_to_leave_has_its_say_no_more() -> None:
    """A last piece that comes before its reading has ended takes no room, and makes nobody leave."""
    scene = Scene()
    first = scene.holds("first", LIMIT)
    scene.now = GRACE_SECONDS
    scene.holds("second", LIMIT)
    scene.room.hold(first, FREE_BYTES + LIMIT + 1)
    scene.room.release(first)
    assert scene.left == ["first"]


steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", None]), st.integers(-1, 140), st.floats(0, 3)), max_size=40
)


@given(steps)
def test_never_more_than_fits_and_nothing_stays_behind(played: list[tuple[int, str | None, int, float]]) -> None:
    """Whatever grows and goes in whatever order (-1: it goes)."""
    scene = Scene()
    bodies: dict[tuple[int, str | None], Body] = {}
    for number, caller, counted, seconds in played:
        scene.now += seconds
        body = bodies.setdefault((number, caller), scene.body(f"{number}{caller}", caller))
        if counted < 0:
            scene.room.release(bodies.pop((number, caller)))
            continue
        try:
            scene.room.hold(body, FREE_BYTES + max(counted, body.bytes))
        except TooManyBodies:
            assert body.left
        held = [each.bytes for each in bodies.values() if not each.left]
        assert sum(held) <= LIMIT
        assert scene.room._of.total() == sum(held)
    for body in bodies.values():
        scene.room.release(body)
    assert (scene.room._of.total(), dict(scene.room._of), scene.room._bodies) == (0, {}, {})
