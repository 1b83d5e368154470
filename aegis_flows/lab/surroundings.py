"""What a shell may have set for other systems, and what must not reach the lab or a command in front of it.

boto3 prefers AWS_ACCESS_KEY_ID to any profile, Prefect reads every PREFECT_…, slack_sdk asks a proxy even for
127.0.0.1.
"""

import os
from collections.abc import Iterable, Mapping

FOREIGN = ("AEGIS_", "AWS_", "BOTO_CONFIG", "KUBECONFIG", "PREFECT_")
OURS = {"AEGIS_LAB_FOLDER"}
PROXIES = {"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"}
LOOPBACK = ("127.0.0.1", "localhost")


def enter(settings: Mapping[str, str]) -> None:
    """From here on this process, and all that it starts, has these settings and no others."""
    for name in [*foreign(os.environ), *(n for n in os.environ if n.upper() in PROXIES)]:
        del os.environ[name]
    os.environ.update(settings)


def foreign(names: Iterable[str]) -> list[str]:
    """The variables that would lead a program to other systems than the lab's."""
    return sorted(name for name in names if name.startswith(FOREIGN) and name not in OURS)


def without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY in both spellings, with what it says already and the loopback."""
    said = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    hosts = dict.fromkeys([*filter(None, said.split(",")), *LOOPBACK])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(hosts))
