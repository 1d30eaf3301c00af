"""One request at a time: a client that sends several at once gets its answers in order, and costs no more than one."""

import asyncio
import itertools
import socket

import pytest

from realtime.tests.client import TIMEOUT, eventually

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
ANNOUNCED = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\na\r\n\r\nb"
CHUNKS = b"3\r\na\r\n\r\n3\r\n\r\nb\r\n0\r\nX: y\r\n\r\n"
IN_CHUNKS = b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS


class Application:
    """Answers with the path and the body. Knows which requests it is serving."""

    def __init__(self):
        self.serving, self.served, self.most_at_once = set(), [], 0
        self.answer_size = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope, receive, send):
        self.serving.add(scope["path"])
        self.most_at_once = max(self.most_at_once, len(self.serving))
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await self.may_answer.wait()
        answer = scope["path"].encode() + b":" + body + b"." * self.answer_size
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # Before the last part, with which the server turns to the next request.
        self.serving.discard(scope["path"])
        self.served.append(scope["path"])
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture
async def application():
    return Application()


async def answers(reader, count):
    """The bodies of the next answers."""
    bodies = []
    async with asyncio.timeout(TIMEOUT):
        for _ in range(count):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            bodies.append(await reader.readexactly(size))
    return bodies


@pytest.mark.parametrize("in_pieces_of", [1, 7, 10_000])
async def test_all_are_answered_in_order_one_after_another(port, application, in_pieces_of):
    kinds = ((GET, b""), (ANNOUNCED, b"a\r\n\r\nb"), (IN_CHUNKS, b"a\r\n\r\nb"))
    sent, expected = b"", []
    for number, (request, body) in enumerate(itertools.islice(itertools.cycle(kinds), 30)):
        sent += request % number
        expected.append(b"/%d:%s" % (number, body))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # Each piece is a segment of its own, and most likely a read.
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(sent), in_pieces_of):
        writer.write(sent[start : start + in_pieces_of])
        await asyncio.sleep(0)
    assert await answers(reader, len(expected)) == expected
    assert application.most_at_once == 1
    writer.close()
    await writer.wait_closed()


async def test_no_second_request_is_parsed_before_the_first_is_answered(port, protocols, application):
    application.may_answer.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(GET % number for number in range(1000)))
    await eventually(lambda: application.serving)
    await eventually(lambda: protocols[0]._inbound.is_waiting)
    assert not protocols[0].pipeline
    assert len(protocols[0].tasks) == 1
    application.may_answer.set()
    assert len(await answers(reader, 1000)) == 1000
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_does_not_read_is_served_no_further(port, protocols, application):
    """Its requests stay in its own machine: what the server holds for it is one answer, and what one read brought."""
    application.answer_size = 50_000
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    sending = asyncio.ensure_future(
        asyncio.get_running_loop().sock_sendall(client, b"".join(GET % number for number in range(1_000_000)))
    )
    await eventually(lambda: protocols and protocols[0].flow and protocols[0].flow.write_paused)
    served = len(application.served)
    held = protocols[0].transport.get_write_buffer_size()
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert (len(application.served), protocols[0].transport.get_write_buffer_size()) == (served, held)
    assert held < 2 * application.answer_size
    assert len(protocols[0]._inbound._waiting) <= 256 * 1024
    assert not sending.done()
    # And it goes on where it stopped.
    reader, writer = await asyncio.open_connection(sock=client)
    sending.cancel()
    bodies = await answers(reader, served + 10)
    assert [body.partition(b":")[0] for body in bodies] == [b"/%d" % number for number in range(served + 10)]
    writer.transport.abort()


async def test_a_client_that_leaves_in_between_leaves_no_fault(port, protocols, application, caplog):
    """The application may be answering an earlier request than the one that was parsed last."""
    for split in range(1, 5):
        application.may_answer.clear()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = GET % split
        writer.write(head[:-split])
        await eventually(lambda: protocols and protocols[-1]._head_bytes)
        # The rest of one head and the next request in one read.
        writer.write(head[-split:] + GET % 100)
        await eventually(lambda: protocols[-1].cycle is not None)
        writer.transport.abort()
        application.may_answer.set()
        await eventually(lambda: not (protocols[-1].connections or protocols[-1].tasks))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
