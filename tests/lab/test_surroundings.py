import os
from unittest.mock import patch

from aegis_flows.lab import surroundings

SHELL = {
    "PATH": "/bin",
    "HOME": "/home/sam",
    "AEGIS_LAB_FOLDER": "/tmp/mine",  # noqa: S108  # nothing is written there
    "AEGIS_SLACK_CHANNEL": "#production",
    "AWS_ACCESS_KEY_ID": "AKIA",
    "AWS_SESSION_TOKEN": "token",
    "AWS_PROFILE": "production",
    "KUBECONFIG": "/home/sam/.kube/production",
    "PREFECT_API_URL": "https://prefect.example.com/api",
    "https_proxy": "http://proxy:3128",
    "HTTP_PROXY": "http://proxy:3128",
}


def test_nothing_of_other_systems_reaches_the_lab() -> None:
    """Credentials, servers and proxies of the shell are gone; what says nothing of systems stays."""
    with patch.dict(os.environ, SHELL, clear=True):
        surroundings.enter({"AWS_PROFILE": "flows"})
        assert dict(os.environ) == {
            "PATH": "/bin",
            "HOME": "/home/sam",
            "AEGIS_LAB_FOLDER": SHELL["AEGIS_LAB_FOLDER"],
            "AWS_PROFILE": "flows",
        }


def test_loopback_is_added_to_what_goes_without_proxy() -> None:
    """Once, after what stands there."""
    assert surroundings.without_proxy({})["NO_PROXY"] == "127.0.0.1,localhost"
    twice = surroundings.without_proxy(surroundings.without_proxy({"NO_PROXY": ".example.com,localhost"}))
    assert twice["no_proxy"] == twice["NO_PROXY"] == ".example.com,localhost,127.0.0.1"
