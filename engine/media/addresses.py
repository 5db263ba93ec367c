"""Which network addresses an image may be fetched from: public ones, and none of this machine's neighbours.

An address is judged as the resolver gave it, and the connection goes to that very address, so spellings (decimal,
octal, names that change) do not matter. The ranges are those of IANA's special-purpose registries (RFC 6890).
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers' NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the platform service of Azure, from inside its machines
        "169.254.0.0/16",  # link-local; the metadata services of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All that IANA has given out: loopback, ULA, link-local, multicast, mapped and NAT64 forms lie outside."""


def is_public(address: str) -> bool:
    """Whether `address`, an IP address in text, is global unicast. No name is looked up."""
    try:
        ip = ip_address(address)
    except ValueError:
        # With a zone, say: fe80::1%eth0 is an address, what else comes here is none.
        return False
    if ip.version == 6 and (ip not in _GLOBAL_UNICAST or ip.scope_id is not None):
        return False
    return not any(ip in network for network in _NOT_PUBLIC if network.version == ip.version)


def is_near(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether `address` lies in one of `networks`."""
    ip = ip_address(address)
    return any(ip in network for network in networks if network.version == ip.version)


def own_networks() -> tuple[Network, ...]:
    """The networks that this machine's interfaces are in.

    With IPv6 every printer at home has an address that is global unicast, and so may this machine itself.
    """
    import psutil

    found: list[Network] = []
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ip_address(each.address.partition("%")[0])
            bits = int(ip_address(each.netmask)).bit_count() if each.netmask else address.max_prefixlen
            # A mask of nothing (some tunnels) would make everything a neighbour.
            found.append(ip_network((address, bits or address.max_prefixlen), strict=False))
    return tuple(found)
