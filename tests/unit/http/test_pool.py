from __future__ import annotations

import os
import socket

from airflow_oauth_provider.http.pool import KeepAlive, shared_adapter
from airflow_oauth_provider.oauth2.settings import KeyPair
from tests.support.certificates import self_signed_pair
from tests.support.sessions import Api, session_on


def test_sockets_are_probed_as_the_hooks_parameters_say() -> None:
    options = KeepAlive(idle=60, count=5, interval=7).socket_options()
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
    assert {value for level, name, value in options if level == socket.IPPROTO_TCP} >= {60, 5, 7}
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in options


def test_sockets_are_not_probed_when_that_is_not_wanted() -> None:
    assert not [option for option in KeepAlive(enabled=False).socket_options() if option[1] == socket.SO_KEEPALIVE]


def test_sessions_with_the_same_options_share_their_connections() -> None:
    assert shared_adapter(KeepAlive(), None) is shared_adapter(KeepAlive(), None)
    assert shared_adapter(KeepAlive(), None) is not shared_adapter(KeepAlive(idle=7), None)


def test_sessions_with_different_certificates_share_none() -> None:
    one, other = self_signed_pair(), self_signed_pair(number=1)
    adapters = [shared_adapter(KeepAlive(), pair) for pair in (one, other, None)]

    assert len(set(adapters)) == 3
    assert shared_adapter(KeepAlive(), KeyPair(one.private_key, one.certificate)) is adapters[0]


def test_what_is_shared_is_bounded_and_a_session_keeps_its_own_all_the_same() -> None:
    """A triggerer lives for months, and connections change."""
    with Api() as api:
        session = session_on(api)
        session.get("x")
        first = shared_adapter(KeepAlive(), None)
        for number in range(40):
            shared_adapter(KeepAlive(idle=1000 + number), None)
        assert shared_adapter(KeepAlive(), None) is not first

        child = os.fork()
        if child == 0:
            os._exit(0 if session.get("x").status_code == 200 else 1)

        assert os.waitpid(child, 0)[1] == 0
        assert session.get("x").status_code == 200
        assert (len(api.seen), api.connections) == (3, 2)


def test_a_forked_child_does_not_use_its_parents_sockets() -> None:
    with Api() as api:
        session = session_on(api)
        session.get("x")
        child = os.fork()
        if child == 0:
            os._exit(0 if session.get("x").status_code == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert session.get("x").status_code == 200
        assert (len(api.seen), api.connections) == (3, 2)
