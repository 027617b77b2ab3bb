import pytest

from harness.files import write_atomically


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "a" / "x.json"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, 3)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
