"""What may be dialled: an operator's allowances as a value, and the refusal of all else."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from app.egress.network import Network, is_allowed, is_denied
from app.errors import PermanentError

USUAL_PORTS: Final = frozenset({80, 443})

# The same words for every address: an answer must not tell what a name stands for in here.
REFUSED_ADDRESS: Final = (
    "the URL leads to an address that may not be called from here: it is not a public one"
)
REFUSED_PORT: Final = "the URL names a port that may not be called from here"


class EgressRefusedError(PermanentError):
    """The connection is not made, now or later. The sentence names no address."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Public addresses at the usual ports, and what the operator allows beyond that.

    `allowed_networks` may be private ones; `allowed_ports` are added to 80 and 443.
    """

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = frozenset()

    def check_address(self, host: str) -> None:
        """Raises `EgressRefusedError` unless `host` is an IP address that may be called.

        What is not an address as `ipaddress` writes it is refused: 127.1 is no address here.
        """
        try:
            address = ip_address(host)
        except ValueError as exc:
            raise EgressRefusedError(REFUSED_ADDRESS) from exc
        if is_denied(address) and not is_allowed(address, self.allowed_networks):
            raise EgressRefusedError(REFUSED_ADDRESS)

    def check_port(self, port: int) -> None:
        """Raises `EgressRefusedError` for a port that is not allowed."""
        if port not in USUAL_PORTS and port not in self.allowed_ports:
            raise EgressRefusedError(REFUSED_PORT)
