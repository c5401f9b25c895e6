"""A question to a tracking server without MLflow, with the credentials that MLflow sends: of the address, or of the environment."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from urllib.request import Request


def request(uri: str, path: str) -> Request:
    """A request for `path` of the server at `uri`, http://user:password@host:port or without the two."""
    import urllib.request  # noqa: PLC0415  # with it comes TLS: loaded only to ask a server

    parts = urlsplit(uri)
    made = urllib.request.Request(f"{bare(uri)}{path}")
    if authorization := _authorization(parts.username, parts.password):
        made.add_header("Authorization", authorization)
    return made


def bare(uri: str) -> str:
    """The address without a name and a password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _authorization(user: str | None, password: str | None) -> str:
    """The header's value, empty where nothing is known."""
    if user is not None:
        user, password = unquote(user), unquote(password or "")
    else:
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password is not None:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else ""
