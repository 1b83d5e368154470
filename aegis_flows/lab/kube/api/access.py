"""Who may ask: everybody, or those who hold the token."""

import base64
import binascii
import hmac

from aegis_flows.lab.kube.errors import unauthorized

_PUBLIC = ("/version",)


def check(token: str | None, path: str, authorization: str) -> None:
    """A 401 unless the header carries the token.

    Accepted as `Bearer` and as the password of `Basic`: client-go sends a kubeconfig's credentials over https only,
    but those in the server's URL over http too.
    """
    if token is None or path in _PUBLIC:
        return
    if not hmac.compare_digest(_presented(authorization).encode(), token.encode()):
        raise unauthorized()


def _presented(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return credentials if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
