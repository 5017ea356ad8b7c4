"""The package as it is installed: what it imports, what imports what, what a wheel holds."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import veridraft

ROOT = Path(__file__).parent.parent
ARROWS = {
    "theory": set(),
    "simulate": {"theory"},
    "gpu": {"theory"},
    "reports": {"theory", "simulate", "gpu"},
}
INNER_ARROWS = {
    "theory": {
        "display": set(),
        "rows": {"display"},
        "pairs": {"rows"},
        "solvers": {"rows"},
        "policies": {"rows", "pairs"},
        "verifiers": {"display", "rows", "pairs", "solvers", "policies"},
        "bounds": {"display", "rows", "pairs", "policies"},
        "efficiency": {"display", "rows", "pairs", "solvers", "policies", "verifiers"},
        "speed": {"rows", "pairs", "policies", "verifiers", "efficiency"},
        "search": {"display", "rows", "pairs", "policies", "verifiers", "speed"},
    },
    "simulate": {
        "batches": set(),
        "procedures": {"batches"},
        "forms": {"batches"},
        "montecarlo": {"batches", "procedures"},
        "defects": {"batches", "procedures", "forms"},
        "white_box": {"batches", "forms"},
        "adapters": {"batches", "forms"},
        "auditing": {"batches", "forms", "defects", "montecarlo"},
        "transcripts": {"batches", "defects", "auditing"},
    },
    "gpu": {
        "files": set(),
        "engines": set(),
        "models": {"files"},
        "trees": {"models"},
        "verification": {"models", "trees"},
        "distilling": {"files", "models", "trees"},
        "decoding": {"models", "trees", "verification"},
        "latency": {"files", "models", "trees", "verification", "decoding"},
        "crosschecks": {"files", "models", "trees", "verification", "decoding", "latency"},
        "selecting": {"files", "models", "trees", "distilling", "decoding"},
    },
    "reports": {
        "writing": set(),
        "running": {"writing"},
        "servers": set(),
        "commands": {"running", "writing", "servers"},
        "studies": {"running", "writing", "servers"},
    },
}
"""Which sub-packages of its own room each sub-package may import."""
FACES = {"__init__", "cli", "pytest_plugin", "__main__"}
"""Modules that stand above a room's sub-packages."""
HEAVY = ("torch", "transformers", "matplotlib", "jinja2", "ot", "PIL", "pandas", "pyarrow", "distributed", "sklearn")


def modules_after(statement: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter after the statement, started outside the checkout."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return set(run.stdout.split())


@pytest.mark.parametrize("room", ["theory", "simulate", "gpu", "reports", "reports.cli"])
def test_importing_a_room_imports_nothing_heavy(room):
    assert not modules_after(f"import veridraft.{room}") & {*HEAVY, "scipy.stats", "scipy.optimize"}


def test_the_top_package_imports_its_rooms_when_they_are_asked_for():
    modules = modules_after("import veridraft as vd")
    assert not any(name.startswith("veridraft.theory") for name in modules)
    assert "numpy" not in modules
    assert "veridraft.theory" in modules_after("import veridraft as vd\nvd.block_efficiency")


def test_the_look_at_imports_can_fail():
    assert "matplotlib" in modules_after("import matplotlib")


def test_python_started_in_the_checkout_finds_the_rooms_as_everywhere():
    """The folder ``veridraft`` of the checkout is then imported in place of the installed one."""
    code = "import veridraft as vd; print(vd.__version__, vd.Chain(2))"
    for place in (ROOT, "/"):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=place)
        assert run.stdout.split() == [veridraft.__version__, "Chain(2)"]
    command = [sys.executable, "-m", "veridraft", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == ["veridraft", veridraft.__version__]


def faces() -> list[str]:
    """Every package of veridraft, by its dotted name."""
    files = [
        ROOT / "veridraft" / "__init__.py",
        *(file for room in ARROWS for file in (ROOT / room).rglob("__init__.py")),
    ]
    names = [file.parent.relative_to(ROOT).parts for file in files]
    return [".".join(parts if parts[0] == "veridraft" else ("veridraft", *parts)) for parts in names]


@pytest.mark.parametrize("face", faces())
def test_every_public_name_of_a_face_is_there_and_none_is_a_folder_or_module(face):
    """Trap: a function that shares its name with a sub-module is hidden by it, or hides it."""
    package = import_module(face)
    names = getattr(package, "__all__", [])
    inside = {file.stem for folder in package.__path__ for file in Path(folder).glob("[!_]*")}
    if face != "veridraft":
        assert not inside & set(names)
    for name in names:
        assert getattr(package, name) is not None


def test_the_paths_that_users_import_go_on_working():
    from veridraft.theory.policies import Chain, DraftLaw, Iid, TopPlusOne, parse_policy
    from veridraft.theory.solvers import canonical, k_seq, reject_in_order, symmetrised
    from veridraft.theory.verifiers import VERIFIERS, Verifier, get_verifier

    assert parse_policy("Iid(2, 1)") == Iid(2, 1)
    assert all(callable(solver) for solver in (canonical, k_seq, reject_in_order, symmetrised))
    assert isinstance(get_verifier("nss"), Verifier)
    assert VERIFIERS["nss"] is get_verifier("nss")
    assert Chain(1).draft_laws <= set(DraftLaw)
    assert TopPlusOne(2, 1).name == "TopPlusOne(2, 1)"


def test_the_transport_solver_is_loaded_when_a_plan_is_asked_for():
    """POT is a dependency that is imported late."""
    texts = {path: path.read_text() for path in (ROOT / "theory").rglob("*.py")}
    assert any(re.search(r"^\s+import ot\b", text, re.M) for text in texts.values())
    for path, text in texts.items():
        assert not re.search(r"^(import|from) ot\b", text, re.M), path


def imported(source: str, package: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The modules and names below ``veridraft`` that a module in a package (``("theory", "rows")``) imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["veridraft", *package][: len(package) + 2 - node.level] if node.level else []
            base = ".".join([*above, *[node.module] * bool(node.module)])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            names += [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    return {tuple(name.split(".")[1:]) for name in names if name.startswith("veridraft.")}


def rooms_imported(source: str, package: tuple[str, ...]) -> set[str]:
    """The other rooms that a module of a package imports, at any depth of the code."""
    return ({name[0] for name in imported(source, package) if name} & set(ARROWS)) - {package[0]}


def inner_imported(source: str, package: tuple[str, ...]) -> set[str]:
    """The other sub-packages of its room that a module of a sub-package imports."""
    found = {name[1] for name in imported(source, package) if name[0] == package[0] and len(name) > 1}
    return (found & set(INNER_ARROWS[package[0]])) - {package[1]}


def package_of(path: Path) -> tuple[str, ...]:
    return path.parent.relative_to(ROOT).parts


@pytest.mark.parametrize("room", ARROWS)
def test_arrows_go_one_way(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert rooms_imported(path.read_text(), package_of(path)) <= ARROWS[room], path


@pytest.mark.parametrize("room", INNER_ARROWS)
def test_arrows_between_sub_packages_go_one_way(room):
    allowed = INNER_ARROWS[room]
    order = list(allowed)
    assert all(order.index(low) < order.index(high) for high in allowed for low in allowed[high]), "no circle"
    folders = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
    assert folders == set(allowed)
    for path in (ROOT / room).rglob("*.py"):
        if len(package_of(path)) > 1:
            seen = inner_imported(path.read_text(), package_of(path))
            assert seen <= allowed[package_of(path)[1]], f"{path} imports {seen - allowed[package_of(path)[1]]}"


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import veridraft.gpu.models.pairs", ("theory",)),
        ("from veridraft import gpu", ("theory",)),
        ("from ..gpu import x", ("theory",)),
        ("from ...gpu.models import x", ("theory", "rows")),
        ("def f():\n from .... import gpu", ("theory", "rows", "deep")),
    ],
)
def test_a_wrong_arrow_is_seen(source, package):
    assert rooms_imported(source, package) == {"gpu"}


@pytest.mark.parametrize(
    "source",
    [
        "from ..speed import x",
        "from .. import speed",
        "from veridraft.theory.speed.rates import x",
        "import veridraft.theory.speed.rates",
        "def f():\n from ..speed.rates import y",
    ],
)
def test_a_wrong_arrow_between_sub_packages_is_seen(source):
    assert inner_imported(source, ("theory", "rows")) == {"speed"}
    assert inner_imported("from ...speed import x", ("theory", "rows", "deep")) == {"speed"}


def modules_by_import(folder: Path) -> dict[str, set[str]]:
    """Each module of a room, and the modules of it that it imports while it is itself being imported."""
    files = {path.relative_to(ROOT).with_suffix("").parts: path for path in folder.rglob("*.py")}
    graph = {}
    for parts, path in files.items():
        tree = ast.parse(path.read_text())
        early = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        names = imported(ast.unparse(early), package_of(path))
        graph[".".join(parts)] = {".".join(name) for name in names if name in files and name != parts}
    return graph


def test_the_plan_of_the_house_names_every_sub_package_above_those_that_import_it():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for room, allowed in INNER_ARROWS.items():
        table = text.split(f"| `{room}/` |")[1].split("\n\n")[0]
        named = re.findall(r"^\| `(\w+)` \|", table, re.M)
        assert sorted(named) == sorted(allowed)
        assert all(named.index(low) < named.index(high) for high in allowed for low in allowed[high])


@pytest.mark.parametrize("room", ARROWS)
def test_no_modules_import_each_other_in_a_circle(room):
    graph = modules_by_import(ROOT / room)
    assert any(graph.values())
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_a_circle_is_seen():
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


@pytest.mark.parametrize(
    "folder", [path.parent for room in ARROWS for path in (ROOT / room).rglob("__init__.py")], ids=str
)
def test_a_folder_has_about_ten_modules(folder):
    assert len([path for path in folder.glob("*.py") if path.stem not in FACES]) <= 11


def test_the_version_is_one_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert re.search(rf"^## \[{re.escape(version)}\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert f"version = {{{version}}}" in (ROOT / "docs" / "index.md").read_text()
    assert veridraft.__version__ == version


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
    for room in ("veridraft", *ARROWS):
        shutil.copytree(ROOT / room, place / room, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", "dist", "."]
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)
    return next((place / "dist").glob("*.whl"))


def test_a_wheel_holds_every_module_and_template_and_marks_itself_typed(wheel):
    """Trap: a sub-package that ``pyproject.toml`` does not list is missing without a word."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for room in ARROWS:
        for path in (ROOT / room).rglob("*"):
            if path.suffix == ".py" or path.parent.name in ("templates", "SmolLM2-135M-Instruct"):
                assert f"veridraft/{path.relative_to(ROOT)}" in names
    assert {"veridraft/__init__.py", "veridraft/__main__.py", "veridraft/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.split("/")[0] in ARROWS for name in names), "no global name like theory or gpu"


def test_the_wheel_has_the_command_and_the_licence(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {name.split("/")[-1]: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "veridraft = veridraft.reports.cli:main" in texts["entry_points.txt"]
    assert "License-Expression: Apache-2.0" in texts["METADATA"]
    assert texts["LICENSE"] == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("room", ARROWS)
def test_no_module_needs_what_unix_alone_has_to_be_imported(room):
    for path in (ROOT / room).rglob("*.py"):
        early = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Import)]
        names = {alias.name for node in early for alias in node.names}
        assert not names & {"resource", "fcntl", "termios", "pwd", "grp", "readline"}, path
