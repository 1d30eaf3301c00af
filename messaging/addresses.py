"""By which address a client is counted; no more than that."""

from ipaddress import IPv6Address, IPv6Network, ip_address


def network_of(address: str) -> str:
    """Return the address itself, or of an IPv6 address its network of 64 bits, which is one customer's.

    An IPv4 address written as IPv6 is itself; what is no address is "".
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)
