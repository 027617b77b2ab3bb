"""`harness new`: names that cannot be are refused with a reason, nothing is overwritten, what is written registers and is right."""

import re
import tomllib

import fresh
import pytest
from doors import Project, one_line

from harness import registry, scaffold
from harness.settings import ConfigurationError


@pytest.fixture(scope="module")
def found():
    return registry.discover()


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def installed(project, folder):
    """Put the package that lies in `folder` on the project's path, as an installed distribution is."""
    described = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = described["entry-points"]
    (package,) = (folder / "src").iterdir()
    site = project.plugins[0]
    (site / package.name).symlink_to(package)
    about = site / f"{package.name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: 1.0\n")
    groups = (f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in points.items())
    (about / "entry_points.txt").write_text("".join(groups))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Loudness", "expected lower case letters, digits and underscores .* found 'Loudness'"),
        ("loud-ness", "such as loudness_meter; found 'loud-ness'"),
        ("9lives", "found '9lives'"),
        ("class", "no word of Python's own"),
        ("../away", re.escape("found '../away'")),
        ("a" * 65, "at most 64 of them"),
        ("", "found ''"),
        ("dbn", "component dbn is registered already, by audio-perf-harness; .*: harness new implementation dbn.NAME"),
        ("numpy", r"a package numpy can be imported here already \(.*numpy"),
    ],
)
def test_a_component_that_cannot_be_is_refused(found, name, message):
    with pytest.raises(ConfigurationError, match=message):
        scaffold.component(name, found)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine", "expected COMPONENT.NAME such as spectrogram.mine, found 'mine'"),
        ("dbn.", "expected COMPONENT.NAME"),
        ("nothing.mine", "component 'nothing' is not registered; known: .*dbn, .*: harness new component NAME"),
        ("dbn.native", "dbn.native is registered already, by audio-perf-harness"),
        ("dbn.My", "name of the implementation: .* found 'My'"),
        ("dbn.a.b", "found 'a.b'"),
    ],
)
def test_an_implementation_that_cannot_be_is_refused(found, name, message):
    with pytest.raises(ConfigurationError, match=message):
        scaffold.implementation(name, found)


def test_nothing_is_overwritten(project):
    (project.folder / "acme_energy").mkdir()
    (project.folder / "acme_energy" / "kept").write_text("mine")
    said = one_line(project.here("new", "component", "acme_energy"))
    assert "acme_energy: expected a folder that does not exist yet, found something there; name another with -o DIR" in said
    assert [path.name for path in (project.folder / "acme_energy").iterdir()] == ["kept"]
    (project.folder / "file").write_text("mine")
    assert "file: expected a folder" in one_line(project.here("new", "component", "acme_energy", "-o", "file"))


def test_a_new_component_registers_and_its_rows_agree(project):
    said = project.here("new", "component", "acme_energy")
    assert said.code == 0
    assert said.flat.endswith("next: python -m pip install -e acme_energy && harness list acme_energy && pytest acme_energy")
    installed(project, project.folder / "acme_energy")
    said = project.here("list", "acme_energy", "--cases")
    assert said.code == 0
    assert re.search(r"reference +reference +available", said.out)
    assert re.search(r"fast +optimized +available", said.out)
    assert "acme_energy" not in "".join(line for line in said.out.splitlines() if "broken" in line or "imports" in line)
    said = project.here("run", "acme_energy", "--only", "parity", "--case", "quick")
    assert said.code == 0, said
    assert "adversarial inputs, all as the reference" in said.flat


def test_a_new_implementation_registers_under_its_component(project):
    said = project.here("new", "implementation", "median_filter.acme", "-o", "place")
    assert said.code == 0
    installed(project, project.folder / "place")
    said = project.here("list", "median_filter")
    assert re.search(r"acme +optimized +available", said.out)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "name", "row"), [("component", "acme_energy", "fast"), ("implementation", "median_filter.acme", "acme")]
)
def test_one_command_writes_installs_lists_and_tests(tmp_path, kind, name, row):
    variables = fresh.environment(tmp_path / "venv")
    code, said = fresh.run(["harness", "new", kind, name, "-o", "made", "--install"], tmp_path, variables)
    assert code == 0, said
    assert re.search(rf"{row} +optimized +available", said)
    assert "1 passed" in said
