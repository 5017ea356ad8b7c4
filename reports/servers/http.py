"""Bounded requests to a server: JSON in, JSON or a stream of JSON out."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

MOST_BYTES = 256 * 2**20
"""The longest answer that is read."""

STARTING = 503
"""The status of a server that is still loading its model."""


class ServerError(ConnectionError):
    """What a server did wrong, in one line: it is gone, slow, or answers what cannot be used."""


class NotReadyError(ServerError):
    """Nothing answers at the address, or what answers is still starting."""


class Http:
    """A server at an address, with or without the ``/v1`` of its paths; each request has a time limit in seconds."""

    def __init__(self, address: str, seconds: float) -> None:
        self.address = address.rstrip("/").removesuffix("/v1")
        if not self.address.startswith(("http://", "https://")):
            raise ValueError(f"address {address!r} must begin with http:// or https://")
        self.seconds = seconds

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        with self._asked(path, None) as answer:
            return self._parsed(path, answer.read(MOST_BYTES))

    def post(self, path: str, values: dict[str, Any]) -> Any:
        """The JSON that answers JSON."""
        with self._asked(path, values) as answer:
            return self._parsed(path, answer.read(MOST_BYTES))

    def stream(self, path: str, values: dict[str, Any]) -> Iterator[Any]:
        """The events, each JSON, that answer JSON; ends at ``[DONE]``."""
        with self._asked(path, values) as answer:
            for line in answer:
                if line.startswith(b"data:"):
                    event = line[5:].strip()
                    if event == b"[DONE]":
                        return
                    yield self._parsed(path, event)
                elif line.startswith(b"error:"):
                    raise ServerError(f"{self.address}{path} answers an error: {_short(line[6:])}")

    @contextmanager
    def _asked(self, path: str, values: dict[str, Any] | None) -> Iterator[Any]:
        """The answer to a request; whatever goes wrong while it is read is a :class:`ServerError`."""
        body = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            kind = NotReadyError if error.code == STARTING else ServerError
            raise kind(f"{self.address}{path} answers status {error.code}: {_short(error.read(2000))}") from None
        except TimeoutError:
            raise ServerError(f"{self.address}{path} did not answer within {self.seconds:g} s") from None
        except (urllib.error.URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise NotReadyError(f"{self.address}{path} cannot be reached: {reason}") from None

    def _parsed(self, path: str, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise ServerError(f"{self.address}{path} answers no JSON: {_short(text)}") from None


def _short(text: bytes) -> str:
    return " ".join(text[:300].decode(errors="replace").split()) or "nothing"
