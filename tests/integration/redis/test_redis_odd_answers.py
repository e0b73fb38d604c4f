"""What answers is no Redis, or one that has other worries: tasks go on without it."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.integration.redis.conftest import PASSWORD, Environment, through, warnings
from tests.support import worker
from tests.support.patience import OWN_LIMITS
from tests.support.processes import Nursery
from tests.support.raw import Conversation, RawServer, found_in, hang, reset
from tests.support.servers import OAuthServer


def always(answer: bytes) -> Conversation:
    """Give *answer* to whatever is said."""

    def conversation(connection: socket.socket, _: threading.Event) -> None:
        while connection.recv(65536):
            connection.sendall(answer)

    return conversation


def flood(connection: socket.socket, stopping: threading.Event) -> None:
    """Answer with a gigabyte, slowly: as fast as it can would be no test of a machine's patience but of its memory."""
    connection.recv(65536)
    connection.sendall(b"$1073741824\r\n")
    while not stopping.wait(0.05):
        connection.sendall(bytes(65536))


ANSWERS: dict[str, Conversation] = {
    "it is loading": always(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "it is busy": always(b"-BUSY Redis is busy running a script.\r\n"),
    "it cannot write to its disk": always(b"-MISCONF Redis is configured to save RDB snapshots\r\n"),
    "it is part of a cluster": always(b"-MOVED 3999 127.0.0.1:1\r\n"),
    "its cluster is down": always(b"-CLUSTERDOWN Hash slot not served\r\n"),
    "its master is gone": always(b"-MASTERDOWN Link with MASTER is down\r\n"),
    "it knows no scripts": always(b"-ERR unknown command 'EVALSHA', with args beginning with: 'x'\r\n"),
    "it forgets scripts at once": always(b"-NOSCRIPT No matching script.\r\n"),
    "it shows the password": always(
        f"-ERR unknown command 'AUTH', with args beginning with: '{PASSWORD}'\r\n".encode()
    ),
    "it has too many clients": always(b"-ERR max number of clients reached\r\n"),
    "it speaks HTTP": always(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "it speaks TLS": always(b"\x15\x03\x03\x00\x02\x02\x28"),
    "it says yes to all": always(b"+OK\r\n"),
    "it answers numbers": always(b":1\r\n"),
    "it answers nothing": always(b"$-1\r\n"),
    "it answers empty lists": always(b"*0\r\n"),
    "it answers odd lists": always(b"*3\r\n$1\r\nx\r\n*0\r\n:-7\r\n"),
    "it answers lists in lists": always(b"*1\r\n" * 50_000),
    "it answers half": always(b"*3\r\n$1"),
    "it promises much": always(b"*1000000000\r\n"),
    "it sends a gigabyte": flood,
    "it says nothing": hang,
    "it hangs up": reset,
}


@pytest.mark.parametrize("conversation", ANSWERS.values(), ids=ANSWERS)
def test_whatever_answers_in_place_of_a_redis_costs_sharing_alone(
    nursery: Nursery, server: OAuthServer, environment: Environment, conversation: Conversation
) -> None:
    with RawServer(conversation) as odd:
        (outcome,) = nursery.run(1, worker.call, environment(through(odd)) | OWN_LIMITS, calls=3)

    assert outcome.value == [200] * 3
    assert len(server.token_requests) == 1
    assert len(warnings(outcome)) == 1
    assert warnings(outcome)[0].isprintable()
    assert found_in(warnings(outcome)[0], [PASSWORD, "p@ss"]) == []
    assert outcome.seconds < 30
