"""The keys file, read and written, and its key ring."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.caller import Rate, Role
from service.access.edit_keys import add_key, format_entry
from service.access.keyring import KEY, Keyring, digest_of, new_key
from service.access.keys_file import FILE_BYTES, KeyEntry, KeysError, parse_keys, read_content
from tests.support.keys import Known, file_of

CANARY = "canary-7f3a"
PATH = Path("keys.toml")
DIGEST = "0" * 64


def entry(**lines: str) -> str:
    fields = {"name": '"zendesk"', "roles": '["route"]', "sha256": f'["{DIGEST}"]'} | lines
    return "[[keys]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items() if value)


def ring_of(text: str) -> Keyring:
    return Keyring(parse_keys(text.encode(), PATH))


BROKEN = {
    "empty": "",
    "no entry": "keys = []",
    "not TOML": f"[[keys]]\nname = {CANARY}",
    "a key twice": f"{CANARY} = 1\n{CANARY} = 2",
    "a table twice": f"[{CANARY}]\n[{CANARY}]",
    "a number without end": f"x = {'9' * 5000}",
    "brackets without end": "x = " + "[" * 5000,
    "unknown table": f"{CANARY} = 1\n{entry()}",
    "unknown field": entry(**{f'"{CANARY}"': "1"}),
    "no name": entry(name=""),
    "name of other letters": entry(name=f'"{CANARY} é"'),
    "name with a line break": entry(name='"a\\n"'),
    "long name": entry(name=f'"{"a" * 64}"'),
    "name of the audit log's": entry(name='"watch"'),
    "no role": entry(roles="[]"),
    "unknown role": entry(roles=f'["{CANARY}"]'),
    "a key in place of its digest": entry(sha256=f'["{CANARY}"]'),
    "capitals": entry(sha256=f'["{"A" * 64}"]'),
    "no list of digests": entry(sha256=""),
    "three digests": entry(sha256=str([f"{number:064x}" for number in range(3)])),
    "one digest twice": entry(sha256=f'["{DIGEST}", "{DIGEST}"]'),
    "one digest for two": entry() + entry(name='"other"'),
    "one name for two": entry() + entry(sha256=f'["{"1" * 64}"]'),
    "rate of zero": entry(tickets_per_second="0"),
    "rate of nan": entry(tickets_per_second="nan"),
    "endless rate": entry(tickets_per_second="inf"),
    "rate as text": entry(tickets_per_second='"5"'),
    "burst without rate": entry(burst="3"),
    "burst of zero": entry(tickets_per_second="1", burst="0"),
    "no moment": entry(expires=f'"{CANARY}"'),
    "moment without zone": entry(expires="2027-01-01T00:00:00"),
    "date in quotes": entry(expires='"2027-01-01"'),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_an_invalid_file_is_a_one_line_error_without_its_content(text: str) -> None:
    """The error names the file; its content may be a key."""
    with pytest.raises(KeysError) as refused:
        parse_keys(text.encode(), PATH)
    message = str(refused.value)
    assert message.startswith("keys.toml: ")
    assert "\n" not in message
    assert CANARY not in message


def test_a_file_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(KeysError, match="not UTF-8"):
        parse_keys(b"\xff\xfe", PATH)


def test_an_error_names_its_position() -> None:
    """The line of malformed TOML, or the entry and its field."""
    with pytest.raises(KeysError, match=r"at line 2, column"):
        parse_keys(b"[[keys]]\nname = \n", PATH)
    with pytest.raises(KeysError, match=r"keys\.toml: keys 2 sha256 1: "):
        parse_keys((entry() + entry(name='"b"', sha256='["x"]')).encode(), PATH)


@pytest.mark.parametrize("expires", ['"2027-06-30"', "2027-06-30T12:00:00", "12:00:00", "true", f'"{CANARY}"'])
def test_an_invalid_expiry_is_answered_with_the_right_form(expires: str) -> None:
    """With examples that can be copied."""
    with pytest.raises(KeysError, match=r"keys 1 expires: write a date.*without quotes: 2027-06-30, or 2027-06-30T12"):
        parse_keys(entry(expires=expires).encode(), PATH)


@pytest.mark.parametrize("text", ["", "# nothing yet", "keys = []"])
def test_a_file_without_entries_is_refused_with_advice(text: str) -> None:
    """Such a file is probably still being written; the message says how to withdraw the last key."""
    with pytest.raises(KeysError, match=r"it has no entry; .* keep its entry, with sha256 = \[\]"):
        parse_keys(text.encode(), PATH)


def test_a_caller_without_valid_keys_keeps_its_entry() -> None:
    """The withdrawn key is refused; the keys of other callers stay valid."""
    gone, other = Known("gone", further="tickets_per_second = 5"), Known("other")
    ring = ring_of(gone.withdrawn + other.entry)
    assert list(ring.entries) == ["gone", "other"]
    assert ring.find(gone.key.encode()) is None
    assert ring.find(other.key.encode()) is not None


def test_a_path_that_is_not_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A folder, nothing, and a file that is far too large are refused by name."""
    large = tmp_path / "large"
    large.write_bytes(b"#" * (FILE_BYTES + 1))
    for path in (tmp_path, tmp_path / "missing", large):
        with pytest.raises(KeysError, match=path.name):
            read_content(path)


def test_an_entry_gives_all_properties_of_its_caller() -> None:
    """Name, roles, rate and expiry. The default burst is one second's tickets; a date without time is 00:00 UTC."""
    text = entry(roles='["route", "admin"]', tickets_per_second="2.5", expires="2027-01-01")
    (caller,) = ring_of(text).callers
    assert (caller.name, caller.roles) == ("zendesk", {Role.ROUTE, Role.ADMIN})
    assert caller.rate == Rate(2.5, 2)
    assert caller.expires == datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    (other,) = ring_of(entry(tickets_per_second="0.1", burst="7")).callers
    assert (other.rate, other.expires) == (Rate(0.1, 7), None)


def test_only_the_valid_keys_of_a_caller_are_accepted() -> None:
    """A key is found by its SHA-256; a key that differs in one character is unknown."""
    first, second, stranger = new_key(), new_key(), new_key()
    digests = [hashlib.sha256(key.encode()).hexdigest() for key in (first, second)]
    ring = ring_of(entry(sha256=str(digests)) + Known("other").entry)
    assert [getattr(ring.find(key.encode()), "name", None) for key in (first, second)] == ["zendesk"] * 2
    for wrong in (stranger, first[:-1], first + "A", first.swapcase(), digests[0], ""):
        assert ring.find(wrong.encode()) is None


def test_digests_with_the_same_prefix_are_distinguished() -> None:
    """The index of a digest's first bytes only narrows the search."""
    key = new_key()
    digest = digest_of(key)
    ring = ring_of(
        entry(sha256=f'["{digest[:-1]}{"0" if digest[-1] != "0" else "1"}"]') + Known("other", key=key).entry
    )
    found = ring.find(key.encode())
    assert found is not None
    assert found.name == "other"


def test_a_new_key_has_256_random_bits_and_its_prefix() -> None:
    """32 bytes, in the form that is looked up, never twice."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(KEY.fullmatch(key.encode()) for key in keys)


def test_a_new_caller_is_appended_to_the_file(tmp_path: Path) -> None:
    """Comments stay; the file is made where there is none; nothing else is left in the folder."""
    path, (first, second) = tmp_path / "keys.toml", (Known("first"), Known("second"))
    for known in (first, second):
        assert not add_key(path, parse_keys(known.entry.encode(), path).keys[0])
        path.write_text("# ours\n" + path.read_text())
    assert path.read_text().count("# ours") == 2
    ring = ring_of(path.read_text())
    assert [ring.find(each.key.encode()) for each in (first, second)] == ring.callers
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_rotation_keeps_the_newest_key_and_drops_the_one_before(tmp_path: Path, quote: str) -> None:
    """Three rotations: always two live, the new one first; comments, mode and the other callers stay."""
    path, known, other = tmp_path / "keys.toml", Known("zendesk"), Known("other")
    path.write_text(f"# ours\n{known.entry}{other.entry}# end\n".replace('"', quote))
    path.chmod(0o640)
    digests = [digest_of(known.key)]
    for _ in range(3):
        digests.insert(0, digest_of(new_key()))
        asked = KeyEntry.model_validate({"name": "zendesk", "roles": ["route"], "sha256": [digests[0]]})
        assert add_key(path, asked)
        zendesk, beside = parse_keys(path.read_bytes(), path).keys
        assert zendesk.sha256 == tuple(digests[:2])
    assert beside.sha256 == (digest_of(other.key),)
    assert path.read_text().startswith("# ours")
    assert path.read_text().endswith("# end\n")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_caller_whose_keys_were_withdrawn_gets_a_new_one(tmp_path: Path) -> None:
    """Into its own empty list, and no other one, nor a comment's; no former key works beside it."""
    path, (first, second) = tmp_path / "keys.toml", (Known("first"), Known("second"))
    path.write_text(f"# sha256 = []\n{first.withdrawn}{second.withdrawn}")
    asked = KeyEntry.model_validate({"name": "second", "roles": ["route"], "sha256": [DIGEST]})
    assert not add_key(path, asked)
    assert [each.sha256 for each in parse_keys(path.read_bytes(), path).keys] == [(), (DIGEST,)]
    assert path.read_text().startswith("# sha256 = []\n")


def test_a_rotation_with_other_roles_is_refused(tmp_path: Path) -> None:
    """Other roles beside a new key are refused, and the file is as it was."""
    path = tmp_path / "keys.toml"
    path.write_text(before := Known("zendesk").entry)
    asked = KeyEntry.model_validate({"name": "zendesk", "roles": ["admin"], "sha256": [DIGEST]})
    with pytest.raises(KeysError, match="other roles"):
        add_key(path, asked)
    assert path.read_text() == before


def test_a_layout_that_cannot_be_changed_safely_is_left_alone(tmp_path: Path) -> None:
    """A digest that stands in a comment too would be changed there: what comes out is compared before it is kept."""
    path = tmp_path / "keys.toml"
    digest = digest_of(new_key())
    path.write_text(before := f'keys = [{{name = "zendesk", roles = ["route"], sha256 = ["{digest}"]}}]\n')
    with pytest.raises(KeysError):
        add_key(path, KeyEntry.model_validate({"name": "other", "roles": ["route"], "sha256": [DIGEST]}))
    assert path.read_text() == before


def test_a_formatted_entry_parses_to_the_same_entry() -> None:
    """With all its fields, and with the fewest."""
    fewest = {"name": "a", "roles": ["route"], "sha256": [DIGEST]}
    most = fewest | {"tickets_per_second": 0.5, "burst": 3, "expires": datetime(2027, 1, 1, tzinfo=UTC)}
    for given in (fewest, most):
        made = KeyEntry.model_validate(given)
        assert parse_keys(format_entry(made).encode(), PATH).keys == (made,)


def test_a_file_of_many_callers_reads() -> None:
    """A thousand of them find theirs."""
    known = [Known(f"caller-{number}") for number in range(1000)]
    ring = ring_of(file_of(*known))
    assert [ring.find(each.key.encode()) for each in known] == ring.callers
