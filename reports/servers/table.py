"""Servers by the name of their shape, and the shape of a server that answers."""

from __future__ import annotations

from .base import Server
from .http import Http, NotReadyError, ServerError
from .llama_cpp import LlamaCpp
from .openai import OpenAi

SERVERS: dict[str, type[Server]] = {server.kind: server for server in (LlamaCpp, OpenAi)}


def server_at(address: str, kind: str | None, seconds: float) -> Server:
    """The server at an address; without a kind the first of the table that answers as such.

    Raises ``ValueError`` for an address or a kind that cannot be, :class:`NotReadyError` if nothing answers yet,
    :class:`ServerError` if what answers has no known shape.
    """
    http = Http(address, seconds)
    problems = []
    for one in SERVERS.values() if kind is None else (SERVERS[kind],):
        server = one(http)
        try:
            server.identity()
        except NotReadyError:
            raise
        except ServerError as error:
            problems.append(str(error))
        else:
            return server
    raise ServerError(f"{address} is no server of the shape {kind or ' or '.join(SERVERS)}: {'; '.join(problems)}")
