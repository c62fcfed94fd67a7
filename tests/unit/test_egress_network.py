"""Which addresses may be called: every entry of IANA's special-purpose registries, and the rest."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.egress.guard import REFUSED_ADDRESS, EgressRefusedError, Guard
from app.egress.network import METADATA, Address, Network, is_denied, real_address

# https://www.iana.org/assignments/iana-ipv4-special-registry
IPV4_REGISTRY = {
    "0.0.0.0/8": "This network",
    "0.0.0.0/32": "This host on this network",
    "10.0.0.0/8": "Private-Use",
    "100.64.0.0/10": "Shared Address Space",
    "127.0.0.0/8": "Loopback",
    "169.254.0.0/16": "Link Local",
    "172.16.0.0/12": "Private-Use",
    "192.0.0.0/24": "IETF Protocol Assignments",
    "192.0.0.0/29": "IPv4 Service Continuity Prefix",
    "192.0.0.8/32": "IPv4 dummy address",
    "192.0.0.9/32": "Port Control Protocol Anycast",
    "192.0.0.10/32": "Traversal Using Relays around NAT Anycast",
    "192.0.0.170/32": "NAT64/DNS64 Discovery",
    "192.0.0.171/32": "NAT64/DNS64 Discovery",
    "192.0.2.0/24": "Documentation (TEST-NET-1)",
    "192.31.196.0/24": "AS112-v4",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "Deprecated (6to4 Relay Anycast)",
    "192.88.99.2/32": "6a44-relay anycast address",
    "192.168.0.0/16": "Private-Use",
    "192.175.48.0/24": "Direct Delegation AS112 Service",
    "198.18.0.0/15": "Benchmarking",
    "198.51.100.0/24": "Documentation (TEST-NET-2)",
    "203.0.113.0/24": "Documentation (TEST-NET-3)",
    "240.0.0.0/4": "Reserved",
    "255.255.255.255/32": "Limited Broadcast",
}

# https://www.iana.org/assignments/iana-ipv6-special-registry; 64:ff9b::/96 has tests of its own.
IPV6_REGISTRY = {
    "::1/128": "Loopback Address",
    "::/128": "Unspecified Address",
    "64:ff9b:1::/48": "IPv4-IPv6 Translation, local",
    "100::/64": "Discard-Only Address Block",
    "100:0:0:1::/64": "Dummy IPv6 Prefix",
    "2001::/23": "IETF Protocol Assignments",
    "2001::/32": "TEREDO",
    "2001:1::1/128": "Port Control Protocol Anycast",
    "2001:1::2/128": "Traversal Using Relays around NAT Anycast",
    "2001:1::3/128": "DNS-SD Service Registration Protocol Anycast",
    "2001:2::/48": "Benchmarking",
    "2001:3::/32": "AMT",
    "2001:4:112::/48": "AS112-v6",
    "2001:10::/28": "Deprecated (previously ORCHID)",
    "2001:20::/28": "ORCHIDv2",
    "2001:30::/28": "Drone Remote ID Protocol Entity Tags",
    "2001:db8::/32": "Documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "Direct Delegation AS112 Service",
    "3fff::/20": "Documentation",
    "5f00::/16": "Segment Routing (SRv6) SIDs",
    "fc00::/7": "Unique-Local",
    "fe80::/10": "Link-Local Unicast",
}

# Not in those registries, and no place for a web server either.
OTHERS = {
    "224.0.0.0/4": "multicast (RFC 5771)",
    "ff00::/8": "multicast (RFC 4291)",
    "fec0::/10": "site-local (RFC 3879)",
    "::7f00:0/104": "IPv4-compatible loopback (RFC 4291)",
    "::ffff:0:7f00:0/104": "IPv4-translated loopback (RFC 2765)",
    "::ffff:127.0.0.0/104": "IPv4-mapped loopback (RFC 4291)",
    "::ffff:10.0.0.0/104": "IPv4-mapped private network (RFC 4291)",
    "64:ff9b::127.0.0.0/104": "loopback by NAT64 (RFC 6052)",
    "64:ff9b::169.254.169.254/128": "metadata by NAT64",
    "200::/7": "OSI NSAP (RFC 4048)",
    "4000::/2": "not given out",
    "8000::/1": "not given out, and what ends it",
    "168.63.129.16/32": "Azure's host",
    "100.100.100.200/32": "Alibaba's metadata",
    "169.254.169.254/32": "the metadata of most clouds",
    "fd00:ec2::254/128": "metadata of AWS by IPv6",
}

PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "192.0.1.1", "2606:4700::1111")


def edges(network: Network) -> list[Address]:
    """The first, the last and a middle address."""
    first, size = int(network.network_address), network.num_addresses
    kind = IPv4Address if network.version == 4 else IPv6Address
    return [kind(first), kind(first + size // 2), kind(first + size - 1)]


@pytest.mark.parametrize("text", [*IPV4_REGISTRY, *IPV6_REGISTRY, *OTHERS])
def test_no_address_of_special_purpose_may_be_called(text: str) -> None:
    for address in edges(ip_network(text)):
        with pytest.raises(EgressRefusedError) as refused:
            Guard().check_address(str(address))
        assert str(refused.value) == REFUSED_ADDRESS


@pytest.mark.parametrize("text", [*PUBLIC, "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"])
def test_public_addresses_may_be_called(text: str) -> None:
    Guard().check_address(text)


@given(st.ip_addresses())
def test_what_python_calls_private_is_denied_too(address: Address) -> None:
    if not is_denied(address):
        real = real_address(address)
        assert real.is_global
        assert not real.is_multicast
        assert not real.is_reserved


@given(st.ip_addresses(v=4))
def test_an_address_in_ipv6_clothes_is_judged_by_itself(address: IPv4Address) -> None:
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        dressed = IPv6Address(int(IPv6Address(prefix)) + int(address))
        assert is_denied(dressed) == is_denied(address)


@given(st.ip_addresses(v=4))
def test_every_tunnel_and_every_old_form_of_ipv4_is_denied(address: IPv4Address) -> None:
    number = int(address)
    for carried in (
        number,  # IPv4-compatible
        (0x2002 << 112) + (number << 80),  # 6to4
        (0x2001 << 112) + (number ^ 0xFFFF_FFFF),  # Teredo
        (0xFFFF << 48) + number,  # the old translated form, ::ffff:0:a.b.c.d
    ):
        if IPv6Address(carried).ipv4_mapped is None:
            assert is_denied(IPv6Address(carried))


@pytest.mark.parametrize(
    "text",
    [
        *("", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01", "1.1.1.1 "),
        *("fe80::1%eth0", "2606:4700::1111%1", "[::1]", "example.org", "1.1.1.1/32", "١.1.1.1"),
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(EgressRefusedError):
        Guard((ip_network("127.0.0.0/8"),)).check_address(text)


def test_an_operator_opens_networks() -> None:
    guard = Guard((ip_network("10.1.0.0/16"), ip_network("fd12::/16")))
    for allowed in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1", "1.1.1.1"):
        guard.check_address(allowed)
    for refused in ("10.2.0.1", "127.0.0.1", "::ffff:10.2.0.1", "fd13::1", "fd12::1%2"):
        with pytest.raises(EgressRefusedError):
            guard.check_address(refused)


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_credentials_of_the_cloud_are_opened_by_their_own_address_only(address: str) -> None:
    everything = Guard((ip_network("0.0.0.0/0"), ip_network("::/0")))
    with pytest.raises(EgressRefusedError):
        everything.check_address(address)
    Guard((ip_network(address),)).check_address(address)


def test_ports() -> None:
    guard = Guard(allowed_ports=frozenset({8443}))
    for port in (80, 443, 8443):
        guard.check_port(port)
    for port in (0, 22, 6379, 65535):
        with pytest.raises(EgressRefusedError, match="port"):
            guard.check_port(port)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_and_carried_ipv4_get_out(address: IPv6Address) -> None:
    if not is_denied(address) and isinstance(real_address(address), IPv6Address):
        assert address in IPv6Network("2000::/3")


@given(st.ip_addresses(network="2001:db8::/32") | st.ip_addresses(network="10.0.0.0/8"))
def test_a_refusal_names_no_address(address: Address) -> None:
    with pytest.raises(EgressRefusedError) as refused:
        Guard().check_address(str(ip_address(str(address))))
    assert str(address) not in str(refused.value)
