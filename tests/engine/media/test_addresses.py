"""Which addresses are public: none that any registry calls special, whatever form it is written in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.addresses import is_near, is_public, own_networks


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1", "239.1.1.1"),
        *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1"),
        *(
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "fe80::1",
        ),
        *("2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fec0::1"),
        *(
            "ff02::1",
            "100::1",
            "5f00::1",
            "fe80::1%eth0",
            "2606:4700::1%eth0",
            "localhost",
            "",
            "1",
            "0x7f.1",
        ),
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_others_are(address: str) -> None:
    assert is_public(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_none_is_public_that_python_knows_as_special(address: IPv4Address | IPv6Address) -> None:
    special = not address.is_global or address.is_multicast or address.is_reserved or address.is_loopback
    if special:
        assert not is_public(str(address))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_ipv6_form_of_an_ipv4_address_is_public(address: IPv4Address) -> None:
    number = int(address)
    for form in (
        number,
        0xFFFF << 32 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80 | 1,
        0x20010000 << 96 | number ^ 0xFFFFFFFF,
    ):
        assert not is_public(str(IPv6Address(form)))


def test_neighbours_are_told_by_the_interfaces() -> None:
    networks = own_networks()
    assert is_near("127.0.0.1", networks)
    home = (ip_network("2a02:8108:1:2::/64"), ip_network("81.2.69.0/28"))
    assert is_near("2a02:8108:1:2:dead::1", home) and is_near("81.2.69.5", home)
    assert not is_near("2a02:8108:1:3::1", home) and not is_near("81.2.69.16", home)
    assert all(ip_address(network.network_address) in network for network in networks)
