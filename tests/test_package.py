"""The package as it is installed: what it imports, what imports what, what a wheel holds."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ARROWS = {
    "theory": set(),
    "simulate": {"theory"},
    "gpu": {"theory"},
    "reports": {"theory", "simulate", "gpu"},
}
HEAVY = ("torch", "transformers", "matplotlib", "jinja2", "ot", "PIL", "pandas")


def modules_after(statement: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after the statement."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("room", ["theory", "simulate", "gpu", "reports", "reports.cli"])
def test_importing_a_room_imports_nothing_heavy(room):
    assert not modules_after(f"import veridraft.{room}") & set(HEAVY)


def test_the_look_at_imports_can_fail():
    assert "matplotlib" in modules_after("import matplotlib")


def test_the_transport_solver_is_loaded_when_a_plan_is_asked_for():
    """POT is a dependency that is imported late."""
    users = [
        path.name for path in (ROOT / "theory").glob("*.py") if re.search(r"^\s+import ot\b", path.read_text(), re.M)
    ]
    assert users
    for path in (ROOT / "theory").glob("*.py"):
        assert not re.search(r"^(import|from) ot\b", path.read_text(), re.M), path


def rooms_imported(source: str, room: str) -> set[str]:
    """The other rooms that a module of a room imports, at any depth of the code."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(["veridraft"] * (node.level == 2) + [node.module] * bool(node.module))
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            names += [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    found = {name.split(".")[1] for name in names if name.startswith("veridraft.") and name.count(".")}
    return (found & set(ARROWS)) - {room}


@pytest.mark.parametrize("room", ARROWS)
def test_arrows_go_one_way(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert rooms_imported(path.read_text(), room) <= ARROWS[room], path


@pytest.mark.parametrize(
    "source",
    ["import veridraft.gpu.pairs", "from veridraft import gpu", "from ..gpu import x", "def f():\n from .. import gpu"],
)
def test_a_wrong_arrow_is_seen(source):
    assert rooms_imported(source, "theory") == {"gpu"}


def test_the_version_is_one_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert re.search(rf"^## \[{re.escape(version)}\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert f"version = {{{version}}}" in (ROOT / "README.md").read_text()


def test_the_citation_file_is_valid_yaml_with_what_a_citation_needs():
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the citation file")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == "Apache-2.0"
    assert citation["authors"] == [{"name": "The veridraft developers"}]
    assert {"message", "title"} <= citation.keys()


def test_pins_cover_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    names = {re.split(r"[<>=\[;! ]", item)[0].lower() for item in wanted}
    assert names <= {name.lower() for name in pinned}
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the source, so that nothing is left in the tree."""
    pytest.importorskip("setuptools", minversion="77", reason="building a wheel needs setuptools")
    place = tmp_path_factory.mktemp("source")
    for room in ARROWS:
        shutil.copytree(ROOT / room, place / room, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", "dist", "."]
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)
    return next((place / "dist").glob("*.whl"))


def test_a_wheel_holds_every_module_and_marks_itself_typed(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for room in ARROWS:
        assert f"veridraft/{room}/py.typed" in names
        for path in (ROOT / room).glob("*.py"):
            assert f"veridraft/{room}/{path.name}" in names
    assert {"veridraft/reports/templates/page.html", "veridraft/reports/templates/page.css"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.split("/")[0] in ARROWS for name in names), "no global name like theory or gpu"


def test_the_wheel_has_the_command_and_the_licence(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {name.split("/")[-1]: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "veridraft = veridraft.reports.cli:main" in texts["entry_points.txt"]
    assert "License-Expression: Apache-2.0" in texts["METADATA"]
    assert texts["LICENSE"] == (ROOT / "LICENSE").read_text()
