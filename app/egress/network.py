"""Networks that nobody's URL may lead to; pure data, and what an address really stands for.

Sources: the special-purpose registries of IANA for IPv4 and IPv6 (RFC 6890 and its updates), the
multicast ranges, the tunnels, and the addresses at which clouds hand out credentials. Networks that
the registries call globally reachable are here too, where no web server is among them.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels (AMT)
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

# Only 2000::/3 is given out as global unicast; what lies outside of it is denied as a whole.
GLOBAL_UNICAST_V6: Final = IPv6Network("2000::/3")
DENIED_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID, AMT, AS112 and others
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

# Where a machine in a cloud gets its credentials. A network that an operator allows opens these
# only where it names the one address: who allows 100.64.0.0/10 means its own machines.
METADATA: Final = frozenset(
    {
        IPv4Address("169.254.169.254"),  # most clouds
        IPv4Address("169.254.170.2"),  # containers of AWS
        IPv4Address("169.254.170.23"),  # pods of AWS
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("192.0.0.192"),  # Oracle
        IPv4Address("168.63.129.16"),  # Azure: public by its number, the host by its effect
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # pods of AWS
        IPv6Address("fd20:ce::254"),  # Google
    }
)

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052; its local form 64:ff9b:1::/48 is denied


def real_address(address: Address) -> Address:
    """The address at the other end: an IPv4 one where an IPv6 one only carries it.

    A connection to ::ffff:a.b.c.d leaves as IPv4, one to 64:ff9b::a.b.c.d is translated on its way.
    """
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_denied(address: Address) -> bool:
    """Whether nothing may be sent to the address unless an operator allows it."""
    real = real_address(address)
    if real in METADATA:
        return True
    if isinstance(real, IPv4Address):
        return any(real in network for network in DENIED_V4)
    return (
        real.scope_id is not None
        or real not in GLOBAL_UNICAST_V6
        or any(real in network for network in DENIED_V6)
    )


def is_allowed(address: Address, allowed: tuple[Network, ...]) -> bool:
    """Whether the operator's networks open the address, denied or not."""
    real = real_address(address)
    if isinstance(real, IPv6Address) and real.scope_id is not None:
        return False  # it means another machine on each network card
    opening = [network for network in allowed if real in network]
    if real in METADATA:
        return any(network.num_addresses == 1 for network in opening)
    return bool(opening)
