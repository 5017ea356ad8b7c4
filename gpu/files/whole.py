"""Files that are never seen half written, what is read back of them, and whether it is what was asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def write_whole(place: Path, write: Callable[[Any], Any]) -> None:
    """Let a file be written that is never seen half written, and wait until it is on the disk."""
    scratch = place.with_name(f"{place.name}.partial")
    with scratch.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(place)


def write_json(place: Path, value: Any) -> None:
    """Write a value as JSON, whole; ``ValueError`` for a number that JSON has not."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    write_whole(place, lambda file: file.write(text.encode()))


def read_facts(place: Path, what: str, names: Sequence[str]) -> dict[str, Any]:
    """What a JSON file says; raises ``ValueError`` where it cannot be read, or does not say all of the names."""
    folder = str(place.parent)
    try:
        facts = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder!r} holds no {what}: {place.name} cannot be read ({error})") from error
    if not isinstance(facts, dict) or not set(names) <= facts.keys():
        said = f"{', '.join(names[:-1])} and {names[-1]}"
        raise ValueError(f"{folder!r} holds no {what}: {place.name} does not say {said}")
    return facts


def check_same(held: Mapping[str, Any], settings: Mapping[str, Any], said: str, advice: str) -> None:
    """Raise ``ValueError`` unless what is held has these settings, naming the first that it has not.

    ``said`` begins the sentence, such as "out 'x' holds a run"; ``advice`` ends it.
    """
    for name, value in settings.items():
        if held.get(name) != value:
            raise ValueError(f"{said} with {name} = {held.get(name)!r}, not {value!r}: {advice}")
