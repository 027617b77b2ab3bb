"""The project's pyproject.toml: found, read, and refused with its name and place."""

from pathlib import Path

import pytest

from harness.project import find, table
from harness.settings import ConfigurationError


def written(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return path


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    deep = tmp_path / "deep" / "er"
    deep.mkdir(parents=True)
    outer = written(tmp_path, "")
    assert find(deep) == outer
    inner = written(tmp_path / "deep", "")
    assert find(deep) == inner


def test_without_a_table_there_is_nothing(tmp_path: Path) -> None:
    assert table(None) == {}
    assert table(written(tmp_path, "[project]\nname = 'x'\n")) == {}
    assert table(written(tmp_path, "[tool.harness]\npytest = true\n")) == {"pytest": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool", "expected a readable TOML file"),
        ("tool = 3\n", r"\[tool\]: expected a table, found 3"),
        ("[tool]\nharness = 'on'\n", r"\[tool.harness\]: expected a table, found 'on'"),
        ("[tool.harness]\npytets = true\n", "unknown key 'pytets'; known: profiles, pytest, targets"),
        ("[[tool.harness.target.toy]]\n", "unknown key 'target'"),
    ],
)
def test_what_cannot_be_is_one_error_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        table(written(tmp_path, text))
    assert str(tmp_path / "pyproject.toml") in str(raised.value)


def test_a_file_of_other_bytes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe[tool]")
    with pytest.raises(ConfigurationError, match="expected a readable TOML file"):
        table(tmp_path / "pyproject.toml")
