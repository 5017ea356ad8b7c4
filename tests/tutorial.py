"""The tutorial's blocks: files to save, commands to run, outputs to compare; as a script, writes outputs anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
TUTORIAL = README.parent / "docs" / "tutorial.md"
SIX = TUTORIAL.with_name("questions") / "six.md"
INSTALL = ("python3 -m venv", ". env/", "pip install")
"""Commands that a test leaves out: what they install is there."""

CHANGING = (
    (r"\b\d+\.\d+ s\b", "0.0 s"),
    (r"in \d+\.\d+s\b", "in 0.00s"),
    (r"digest [0-9a-f]{16}\b", "digest 0"),
)


@dataclass(frozen=True)
class Block:
    """A block of the tutorial: ``name`` is that of the file to save, or empty for a command with its output."""

    name: str
    text: str

    @property
    def command(self) -> str:
        return self.text.splitlines()[0].removeprefix("$ ")

    @property
    def output(self) -> str:
        return "\n".join(self.text.splitlines()[1:])


def blocks(text: str) -> list[Block]:
    """In order; a file's name stands in backticks in the paragraph before it, and holds for the next block too."""
    found = []
    for before, kind, body in re.findall(r"((?:.|\n)*?)```(python|console)\n(.*?)```\n", text, flags=re.DOTALL):
        names = re.findall(r"`(\w+\.py)`", before)
        found.append(Block(names[-1] if kind == "python" else "", body.rstrip("\n")))
    return found


def carried_out(block: Block, folder: Path) -> str:
    """What a command prints, the error stream behind it, or nothing for a file that is saved."""
    if block.name:
        (folder / block.name).write_text(block.text + "\n")
        return ""
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    quiet = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    foreign = ("PYTEST", "CI", "BUILD_NUMBER")  # pytest prints longer lines where CI or BUILD_NUMBER is set
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own | quiet
    run = subprocess.run(
        block.command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    return "\n".join(line.rstrip() for line in (run.stdout + run.stderr).strip().splitlines())


def timeless(text: str) -> str:
    """The text with every time and digest of code the same, and without blanks at the ends of lines."""
    for pattern, replacement in CHANGING:
        text = re.sub(pattern, replacement, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def runs(block: Block) -> bool:
    """Whether the block is carried out in an environment where all is installed."""
    return not block.command.startswith(INSTALL)


def rewritten(text: str) -> str:
    """The tutorial with the outputs of today; one that differs in these alone stays as it is."""
    done, rest = "", text
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks(text):
            before, rest = rest.split(block.text, 1)
            new = block.text
            if block.name or runs(block):
                output = carried_out(block, Path(folder))
                if not block.name and timeless(output) != timeless(block.output):
                    new = "\n".join(filter(None, [f"$ {block.command}", output]))
            done += before + new
    return done + rest


def repeated(readme: str, tutorial: str) -> str:
    """The README with the tutorial's outputs for the commands that it repeats."""
    known = {block.command: block.text for block in reversed(blocks(tutorial)) if not block.name}

    def said(match: re.Match[str]) -> str:
        return f"```console\n{known[Block('', match[1]).command]}\n```"

    return re.sub(r"```console\n(.*?)\n```", said, readme, flags=re.DOTALL)


if __name__ == "__main__":
    for page in (TUTORIAL, SIX):
        page.write_text(rewritten(page.read_text()))
    README.write_text(repeated(README.read_text(), TUTORIAL.read_text()))
