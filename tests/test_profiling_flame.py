"""Flame graphs and speedscope files: well-formed, complete, harmless whatever a plugin calls its functions."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from harness.profiling import flame, speedscope
from harness.profiling.stacks import Frame, Profile

SVG = "{http://www.w3.org/2000/svg}"
RUN, FAST, SLOW = Frame("run", "acme/kernel.py", 3), Frame("fast", "acme/kernel.py", 9), Frame("slow", "acme/kernel.py", 20)
BEFORE = {(RUN, FAST): 3.0, (RUN,): 1.0}
AFTER = {(RUN, FAST): 3.0, (RUN,): 1.0, (RUN, SLOW): 4.0}


def show(value):
    return f"{value:g} ms"


def drawn(text):
    """(tooltip, width, colour) of every frame."""
    root = ET.fromstring(text)
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class") == "frame"]
    return [(group.find(f"{SVG}title").text, float(group[1].get("width")), group[1].get("fill")) for group in groups]


def test_a_frame_is_as_wide_as_what_it_takes():
    found = drawn(flame.graph(AFTER, title="t", about="a", show=show))
    frames = {tip.partition(" ")[0].rstrip(":"): (tip, width) for tip, width, _ in found}
    assert frames["run"][1] == pytest.approx(frames["all"][1])
    assert frames["slow"][1] == pytest.approx(frames["run"][1] / 2, rel=1e-3)
    assert frames["slow"][0] == "slow (acme/kernel.py): 4 ms, 50.0%; itself 4 ms"


def test_a_difference_shows_what_is_new_and_what_has_gone():
    def frame(name, before, after):
        found = drawn(flame.difference(before, after, title="t", about="a", show=show))
        return next((tip, colour) for tip, _, colour in found if tip.startswith(name))

    tip, colour = frame("slow", BEFORE, AFTER)
    assert tip == "slow (acme/kernel.py): 0 ms before, 4 ms after (+4 ms)"
    assert re.fullmatch(r"rgb\(250,95,95\)", colour)
    tip, colour = frame("slow", AFTER, BEFORE)
    assert tip.endswith("(-4 ms)")
    assert re.fullmatch(r"rgb\(95,95,250\)", colour)
    assert frame("fast", BEFORE, AFTER)[1] == "rgb(245,245,250)"


def test_equal_profiles_show_no_colour():
    assert {colour for _, _, colour in drawn(flame.difference(AFTER, AFTER, title="t", about="a", show=show))} == {"rgb(245,245,250)"}


def test_names_are_text():
    evil = Frame('</title><script>alert("x")</script>&\x00\x1b', "a.py", 1)
    text = flame.graph({(evil,): 1.0}, title="<t>", about="&", show=show)
    root = ET.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>" in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_what_cannot_be_seen_is_not_drawn_and_deep_stacks_end():
    many = {(RUN, Frame(f"f{number}", "a.py")): 1.0 for number in range(5000)}
    assert len(drawn(flame.graph(many, title="t", about="a", show=show))) == 2
    deep = {tuple(Frame(f"f{number}", "a.py") for number in range(1000)): 1.0}
    assert len(drawn(flame.graph(deep, title="t", about="a", show=show))) == flame.MOST_ROWS


def test_a_speedscope_file_holds_both_profiles_over_shared_frames():
    profiles = [Profile("head", AFTER, 8.0, 100), Profile("base", BEFORE, 4.0, 100)]
    body = json.loads(speedscope.document("title", profiles, unit="milliseconds"))
    names = [frame["name"] for frame in body["shared"]["frames"]]
    assert sorted(names) == ["fast", "run", "slow"]
    for profile, expected in zip(body["profiles"], (8.0, 4.0), strict=True):
        assert (profile["type"], profile["startValue"], profile["endValue"]) == ("sampled", 0, expected)
        assert len(profile["samples"]) == len(profile["weights"])
    assert {names[frame] for sample in body["profiles"][1]["samples"] for frame in sample} == {"run", "fast"}
    assert body["shared"]["frames"][names.index("slow")] == {"name": "slow", "file": "acme/kernel.py", "line": 20}
