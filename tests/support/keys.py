"""Keys for tests, and key files."""

from dataclasses import dataclass, field

from service.access.keyring import digest_of, new_key


@dataclass(frozen=True)
class Known:
    """A caller: its key, and its entry with further lines."""

    name: str
    roles: tuple[str, ...] = ("route",)
    further: str = ""
    key: str = field(default_factory=new_key)

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def header_line(self) -> str:
        """The header as a line of a raw request."""
        return f"Authorization: Bearer {self.key}"

    @property
    def entry(self) -> str:
        return self._entry(f'["{digest_of(self.key)}"]')

    @property
    def withdrawn(self) -> str:
        """Its entry without a key."""
        return self._entry("[]")

    def _entry(self, digests: str) -> str:
        roles = ", ".join(f'"{role}"' for role in self.roles)
        return f'[[keys]]\nname = "{self.name}"\nroles = [{roles}]\nsha256 = {digests}\n{self.further}\n'


def file_of(*known: Known) -> str:
    return "\n".join(each.entry for each in known)
