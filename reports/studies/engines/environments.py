"""An environment for each engine: a folder of packages of exact versions, without what those depend on.

It is layered over the running interpreter by ``PYTHONPATH``.  Everything is written beside its place and renamed into
it, so that a killed installation leaves nothing half done.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veridraft.gpu.models.embedded import sha256_of

MARKER = "veridraft.json"
INDEX = "https://pypi.org/simple"
"""Where source archives come from, unless ``PIP_INDEX_URL`` says otherwise; wheels come from where pip gets them."""

INSTALL_SECONDS = 1800.0


@dataclass(frozen=True)
class Archive:
    """A source archive that is unpacked as it is: its file on the index, and its SHA-256."""

    project: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Environment:
    """Packages that an engine's code is run with.

    Fields
    ------
    name : of its folder
    packages : for pip, each with its version
    archives : sources without a wheel whose metadata does not build here
    variables : set in the process that runs the code
    """

    name: str
    packages: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def prepared(self, folder: Path) -> Path:
        """The environment's folder, made if it is not there; ``ConnectionError`` that says why it cannot be."""
        place = folder / self.name
        if not self._is_there(place):
            print(f"installing {', '.join(self.holds())} (once) into {place}", file=sys.stderr)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=f".{self.name}-") as scratch:
                made = Path(scratch) / self.name
                made.mkdir()
                self._install(made)
                shutil.rmtree(place, ignore_errors=True)
                made.replace(place)
        return place

    def in_process(self, place: Path) -> dict[str, str]:
        """The variables of a process that runs code of the environment."""
        above = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        return os.environ | self.variables | {"PYTHONPATH": os.pathsep.join([str(place), *above])}

    def holds(self) -> list[str]:
        """What is in it."""
        return [*self.packages, *(archive.file for archive in self.archives)]

    def _is_there(self, place: Path) -> bool:
        marker = place / MARKER
        return marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == self.holds()

    def _install(self, folder: Path) -> None:
        for package in self.packages:  # one after the other: two may write into the same folder
            _pip_install(package, folder)
        for archive in self.archives:
            _unpack(archive, folder)
        (folder / MARKER).write_text(json.dumps(self.holds()), encoding="utf-8")


def _pip_install(package: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    done = subprocess.run([*command, "--target", str(folder / "one"), package], capture_output=True,
                          text=True, check=False, timeout=INSTALL_SECONDS)  # fmt: skip
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise ConnectionError(f"pip cannot install {package}: {(said or ['it says nothing'])[-1][:200]}")
    _move_in(folder / "one", folder)


def _unpack(archive: Archive, folder: Path) -> None:
    """Fetch an archive, check it, and unpack what is in its one folder."""
    packed = folder / archive.file
    try:
        urllib.request.urlretrieve(_address(archive), packed)
    except (OSError, LookupError) as error:
        raise ConnectionError(f"cannot fetch {archive.file}: {error}") from None
    found = sha256_of(packed)
    if found != archive.sha256:
        raise ConnectionError(f"{archive.file} has SHA-256 {found}, not {archive.sha256}")
    with tarfile.open(packed) as tar:
        tar.extractall(folder / "one", filter="data")
    (top,) = (folder / "one").iterdir()
    _move_in(top, folder)
    shutil.rmtree(folder / "one")
    packed.unlink()


def _move_in(source: Path, folder: Path) -> None:
    """Move all that a folder holds into another."""
    shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=os.replace)
    shutil.rmtree(source)


def _address(archive: Archive) -> str:
    """Where the index keeps an archive."""
    index = os.environ.get("PIP_INDEX_URL", INDEX).rstrip("/")
    headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
    request = urllib.request.Request(f"{index}/{archive.project}/", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        files: list[dict[str, Any]] = json.load(answer)["files"]
    found = [str(file["url"]) for file in files if file["filename"] == archive.file]
    if not found:
        raise LookupError(f"the index {index} does not list it")
    return found[0]
