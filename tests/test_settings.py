import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.settings import Settings, from_environment, label, parse


def test_later_settings_override_and_none_leaves_alone():
    merged = Settings(threads=1, precision="float32").merged(Settings(threads=2))
    assert merged.given() == {"threads": 2, "precision": "float32"}
    assert merged.only(["threads", "hop"]).given() == {"threads": 2}
    assert merged.variant() == {"precision": "float32"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("threads", "2", 2), ("affinity", "0+1", (0, 1)), ("cache", "no", False), ("hop", "220.5", 220.5), ("precision", "int8", "int8")],
)
def test_parse_gives_typed_values(name, text, value):
    assert parse(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("threads", "0"),
        ("threads", "two"),
        ("threads", "1.5"),
        ("precision", "float33"),
        ("cache", "perhaps"),
        ("affinity", "0,1"),
        ("hop", "nan"),
        ("hop", "inf"),
        ("hop", "-1"),
        ("bit_depth", "12"),
    ],
)
def test_parse_refuses_with_what_was_expected(name, text):
    with pytest.raises(ValueError, match=f"setting {name}: expected .* found"):
        parse(name, text)


def test_an_unknown_setting_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown setting 'thread'; known: threads"):
        parse("thread", "2")


def test_environment_is_read_and_its_errors_name_the_variable():
    assert from_environment({"HARNESS_THREADS": "3", "OTHER": "x"}) == Settings(threads=3)
    with pytest.raises(ValueError, match="HARNESS_STEPS: setting steps: expected"):
        from_environment({"HARNESS_STEPS": "-1"})


@pytest.mark.parametrize("value", [True, "2", 2.0, 0])
def test_wrong_types_are_refused(value):
    with pytest.raises(ValueError, match="setting threads"):
        Settings(threads=value)


@given(st.integers(1, 1024), st.integers(1, 1024))
def test_digest_tells_settings_apart(left, right):
    assert (Settings(threads=left).digest() == Settings(threads=right).digest()) == (left == right)


def test_label_shows_the_variant():
    assert label("native", {}) == "native"
    assert label("native", {"steps": 5, "precision": "int8"}) == "native[precision=int8,steps=5]"
