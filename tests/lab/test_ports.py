import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aegis_flows.errors import BadInput
from aegis_flows.lab import ports
from aegis_flows.lab.ports import USUAL


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_two_labs_never_share_a_port() -> None:
    """The second is given other ports, although nobody listens on those of the first yet."""
    with ports.held() as first, ports.held() as second:
        assert set(first) == set(second) == set(USUAL)
        assert not set(first.values()) & set(second.values())
        assert len(set(second.values())) == len(USUAL)


def test_ports_are_free_again_when_the_lab_has_ended() -> None:
    """The same ones may be had by the next lab."""
    with ports.held() as first:
        pass
    with ports.held() as second:
        assert first == second


def test_usual_port_that_is_taken_gives_way() -> None:
    """To one below those that the kernel gives to outgoing connections, so that it is still free in a few seconds."""
    with ports.held() as before, listening(before["slack"]):
        pass
    with listening(before["slack"]):
        other = ports.allot()["slack"]
    assert other != before["slack"]
    assert other < ports.EPHEMERAL


def test_asked_for_port_that_is_taken_is_an_error() -> None:
    """It names the port, the part, and what to do."""
    with listening() as taken, pytest.raises(BadInput) as refused:
        ports.allot({"slack": taken})
    assert str(refused.value) == f"Port {taken} for slack is in use. Free it, or leave out --port slack={taken}."


def test_port_asked_for_twice_is_an_error() -> None:
    """Two parts cannot have it."""
    with listening() as free:
        pass
    with pytest.raises(BadInput, match=f"Port {free} for prefect is in use"):
        ports.allot({"slack": free, "prefect": free})


def test_asked_for_port_goes_before_a_usual_one() -> None:
    """Another part's usual port may be asked for; that part then gives way."""
    usual = ports.allot()["prefect"]
    given = ports.allot({"slack": usual})
    assert given["slack"] == usual
    assert given["prefect"] != usual
