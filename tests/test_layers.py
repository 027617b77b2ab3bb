"""The import direction of the design: values flow from machine and component to record, verdict and report; nothing reaches back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# module -> the modules of harness it may import. A module that is not listed here fails the test: place it.
MAY_IMPORT = {
    "__init__": {"callback", "component"},
    "callback": set(),
    "component": {"callback", "settings"},
    "settings": set(),
    "signals": set(),
    "strategies": {"signals", "settings"},
    "evidence": set(),
    "parity": {"component", "evidence"},
    "registry": {"component", "machine", "settings"},
    "machine": set(),
    "limits": {"clock", "component", "files", "machine", "record", "settings"},
    "audio": {"settings"},
    "project": {"settings"},
    "lightweight": {"machine", "settings"},
    "profile": {"lightweight", "machine", "project", "settings"},
    "clock": set(),
    "cputime": set(),
    "memory": set(),
    "played": set(),
    "record": {"parity", "played", "settings"},
    "files": set(),
    "store": {"files", "project", "record", "settings"},
    "lock": {"files", "settings"},
    "wire": set(),
    "watchdog": set(),
    "origin": {"component"},
    "returned": {"clock", "component", "wire"},
    "runner": {"clock", "component", "cputime", "machine", "memory", "origin", "realtime", "returned", "settings"},
    "realtime": {
        "callback", "component", "machine", "measure", "metrics", "origin", "played", "record", "registry", "settings", "stats", "verdict",
    },
    "worker": {"runner", "watchdog", "wire"},
    "measure": {
        "audio", "clock", "component", "files", "machine", "paired", "parity", "record", "registry", "settings", "stats", "store",
        "watchdog", "wire",
    },
    "installed": {"record"},
    "stats": {"record"},
    "paired": {"record", "stats"},
    "streamed": {"record", "stats"},
    "metrics": {"record", "settings", "stats", "streamed"},
    "targets": {"metrics", "component", "project", "settings"},
    "verdict": {"installed", "metrics", "parity", "record", "settings", "targets"},
    "figures": set(),
    "shown": {"figures", "files", "settings"},
    "claims": {"installed", "metrics", "realtime", "record", "settings", "shown", "stats", "targets", "verdict"},
    "showing": {"claims", "figures", "machine", "measure", "project", "settings", "shown"},
    "history": {"files", "installed", "machine", "metrics", "record", "settings", "stats", "targets", "verdict"},
    "report": {
        "claims", "component", "evidence", "files", "gate", "history", "limits", "measure", "metrics", "parity", "profiling", "realtime",
        "record", "registry", "settings", "stats", "targets", "verdict",
    },
    "profiling": {"component", "measure", "metrics", "record", "settings", "stats"},
    "scaffold": {"registry", "settings"},
    "past": {"context", "history", "project", "record", "registry", "settings", "verdict"},
    "context": {
        "installed", "lightweight", "machine", "measure", "origin", "parity", "profile", "project", "record", "registry", "settings",
        "store", "targets", "verdict",
    },
    "gate": {
        "clock", "component", "files", "machine", "measure", "metrics", "paired", "profile", "project", "record", "registry", "settings",
        "stats", "store", "targets", "verdict", "watchdog",
    },
}  # fmt: skip
DOORS = {
    "authoring", "cli", "commands", "explaining", "gating", "options", "publishing", "pytest_items", "pytest_plugin", "running",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """First-level harness modules imported anywhere in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            parts = node.module.split(".")
            if parts[0] == "harness":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("harness.")}
    return found


def module_of(path: Path) -> str:
    return path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")


HARNESS = sorted((ROOT / "harness").rglob("*.py"))
IMPLEMENTATIONS = sorted((ROOT / "implementations").rglob("*.py"))


@pytest.mark.parametrize("path", HARNESS, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_flow(path):
    module = module_of(path)
    if module in DOORS:
        return
    assert module in MAY_IMPORT, f"{module}: place it in MAY_IMPORT"
    assert imports(path) - {module} <= MAY_IMPORT[module]


@pytest.mark.parametrize("path", IMPLEMENTATIONS, ids=lambda p: str(p.relative_to(ROOT)))
def test_implementations_import_only_the_contract(path):
    assert imports(path) <= {"callback", "component", "figures", "signals", "strategies", "settings"}


def test_the_harness_knows_no_component_by_name():
    names = {path.name for path in (ROOT / "implementations").iterdir() if (path / "component.py").exists()}
    assert names, "no component found: this test would see nothing"
    for path in HARNESS:
        words = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
                words.add(node.value)
            if isinstance(node, ast.Import | ast.ImportFrom) and "implementations" in ast.dump(node):
                words.add("implementations")
        assert not words, f"{path}: names {words}"


def test_only_history_and_the_peers_of_the_gate_know_asv():
    for path in HARNESS:
        if module_of(path) != "history" and path.name != "peers.py" and "peer_project" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                assert not any(name.split(".")[0] in ("asv", "asv_runner") for name in modules), f"{path} imports asv"


def test_only_report_and_cli_print():
    for path in HARNESS:
        if module_of(path) not in {"report", "cli", "pytest_plugin"}:
            calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
            assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), f"{path} prints"
