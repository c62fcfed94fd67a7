"""What a key may do: each permission includes those before it."""

from enum import StrEnum


class Permission(StrEnum):
    """From the least to the most."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    ADMIN = "admin"

    def includes(self, other: "Permission") -> bool:
        """Whether a key with this permission may do what asks for `other`."""
        order = list(Permission)
        return order.index(self) >= order.index(other)
