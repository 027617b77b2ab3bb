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


def test_what_cannot_be_written_is_named_as_it_was_asked_for(tmp_path):
    with pytest.raises(IsADirectoryError) as caught:
        write_atomically(tmp_path, "a folder is there")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path), None)
    assert list(tmp_path.iterdir()) == []
