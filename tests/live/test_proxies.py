"""Whose address a failed sign-in is counted for, behind the proxies of docs/operations.md: each as it was seen to send.

A client forges 203.0.113.x in `X-Forwarded-For`; its real address, as the proxy sees it, is 198.51.100.7.
"""

import asyncio
from collections.abc import Callable

from .conftest import Deployment
from .servers import Server

CLIENT = "198.51.100.7"
Headers = Callable[[str], list[str]]

PROXIES: dict[str, Headers] = {
    # Caddy, Traefik; nginx with `proxy_set_header X-Forwarded-For $remote_addr`.
    "replaced": lambda forged: [CLIENT],
    # nginx with `$proxy_add_x_forwarded_for`; an AWS load balancer; Cloudflare.
    "appended": lambda forged: [f"{forged}, {CLIENT}"],
    "appended to several": lambda forged: [f"{forged}, 203.0.113.200, {CLIENT}"],
    # HAProxy with `option forwardfor`.
    "a header of its own": lambda forged: [forged, CLIENT],
    # An AWS load balancer with `client_port`; Azure's gateway.
    "with the client's port": lambda forged: [f"{forged}, {CLIENT}:4711"],
    # Another trusted proxy in front of this one.
    "a chain of two": lambda forged: [f"{forged}, {CLIENT}, 127.0.0.1"],
    "IPv6": lambda forged: [f"{forged}, 2001:db8:1:2::{forged.rpartition('.')[2]}"],
    "IPv6 with the client's port": lambda forged: [f"{forged}, [2001:db8:1:2::7]:4711"],
}


async def fail_to_sign_in(server: Server, forwarded_for: list[str]) -> int:
    """Returns the status."""
    body = b'{"username": "no-such-user", "password": "x"}'
    headers = "".join(f"X-Forwarded-For: {value}\r\n" for value in forwarded_for)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST /api/v1/session HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    status = int((await reader.readline()).split()[1])
    writer.transport.abort()
    return status


async def forge(server: Server, proxy: Headers, count: int = 6) -> list[int]:
    return [await fail_to_sign_in(server, proxy(f"203.0.113.{number}")) for number in range(count)]


def counted(deployment: Deployment) -> set[str]:
    return {address for (address,) in deployment.database.read("SELECT address FROM messaging_loginfailure")}


async def test_without_a_setting_no_proxy_is_trusted(deployment: Deployment) -> None:
    """Also not one on the same host: it might pass on what its clients say of themselves, as nginx does by itself."""
    server = await deployment.start()
    assert await forge(server, lambda forged: [forged]) == [401] * 5 + [429]
    assert counted(deployment) == {"127.0.0.1"}


async def test_by_the_proxys_address_the_client_is_found_whatever_it_forges(deployment: Deployment) -> None:
    server = await deployment.start(FORWARDED_ALLOW_IPS="127.0.0.1")
    for name, proxy in PROXIES.items():
        assert await forge(server, proxy, 1) == [401], name
        expected = "2001:db8:1:2::/64" if "IPv6" in name else CLIENT
        assert counted(deployment) == {expected}, name
        deployment.database.write("DELETE FROM messaging_loginfailure")
    assert await forge(server, PROXIES["appended"]) == [401] * 5 + [429]
    # Another client of the same proxy has attempts of its own, and what is no address is no error.
    assert await fail_to_sign_in(server, ["203.0.113.1, 198.51.100.8"]) == 401
    assert await fail_to_sign_in(server, ["x" * 60]) == 401
    assert counted(deployment) == {CLIENT, "198.51.100.8", ""}


async def test_with_an_asterisk_what_a_client_forges_is_believed_if_the_proxy_appends(
    deployment: Deployment,
) -> None:
    """The reason of the advice, and the control of the test above."""
    server = await deployment.start(FORWARDED_ALLOW_IPS="*")
    assert await forge(server, PROXIES["appended"], 3) == [401] * 3
    assert counted(deployment) == {"203.0.113.0", "203.0.113.1", "203.0.113.2"}


async def test_networks_of_proxies_can_be_named(deployment: Deployment) -> None:
    server = await deployment.start(FORWARDED_ALLOW_IPS="10.0.0.0/8,127.0.0.0/8")
    assert await forge(server, PROXIES["appended"], 2) == [401] * 2
    assert counted(deployment) == {CLIENT}
