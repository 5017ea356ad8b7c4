"""Servers by the name of their shape, and the shape of a server that answers."""

from __future__ import annotations

from .base import Server
from .http import Http, ServerError
from .llama_cpp import LlamaCpp
from .openai import OpenAi

SERVERS: dict[str, type[Server]] = {server.kind: server for server in (LlamaCpp, OpenAi)}


def server_at(address: str, kind: str | None, seconds: float) -> Server:
    """The server at an address; without a kind the first of the table that answers for itself.

    Raises ``ValueError`` for an address or a kind that cannot be, :class:`ServerError` if nothing answers.
    """
    http = Http(address, seconds)
    if kind is not None:
        return SERVERS[kind](http)
    problems = []
    for one in SERVERS.values():
        server = one(http)
        try:
            server.identity()
        except ServerError as error:
            problems.append(str(error))
        else:
            return server
    raise ServerError(f"{address} is no server of a known shape ({', '.join(SERVERS)}): {'; '.join(problems)}")
