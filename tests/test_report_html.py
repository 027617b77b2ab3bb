"""The page, read as data: its structure, its figures, every state, and text that wants to be markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from importlib.resources import files
from xml.etree import ElementTree

import pages
import pytest
from report_session import records as of_session
from report_session import verdicts
from synthetic import MACHINE, in_chunks, launches, parity, plan, record

from harness.claims import load
from harness.limits import Ceiling, Limits
from harness.record import Floor, LeftOut
from harness.report.html import Page, render, trends
from harness.report.html.markup import Markup, join, tag
from harness.report.html.parts import kept
from harness.report.html.sheet import COLOURS, Sheet, mark, need, ticks
from harness.report.html.sheet import render as draw
from harness.settings import ConfigurationError
from harness.stats import Interval
from harness.targets import Target
from harness.verdict import Answer, Verdicts, judge

VOID = {"meta", "br", "hr", "link", "img"}


class Read(HTMLParser):
    """A page as its elements (name, attributes, the text inside), in the order of their ends; AssertionError where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str], list[str]]] = []
        self.elements: list[tuple[str, dict[str, str], str]] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, name, attributes):
        if name in VOID:
            self.elements.append((name, dict(attributes), ""))
        else:
            self.open.append((name, dict(attributes), []))

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes), ""))

    def handle_endtag(self, name):
        opened, attributes, text = self.open.pop()
        assert opened == name, f"<{opened}> is closed by </{name}>"
        self.elements.append((name, attributes, "".join(text)))

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def all(self, name: str, class_: str = "") -> list[tuple[dict[str, str], str]]:
        wanted = {class_} if class_ else set()
        return [(found, text) for of, found, text in self.elements if of == name and wanted <= set((found.get("class") or "").split())]

    def texts(self, name: str, class_: str = "") -> list[str]:
        return [text for _, text in self.all(name, class_)]

    def section(self, identity: str) -> str:
        return next(text for found, text in self.all("section") if found.get("id") == identity)


def page_of(of: Verdicts, **more: object) -> Read:
    return Read(render(Page(of, **more)))  # type: ignore[arg-type]


@pytest.fixture(scope="module", name="text")
def _text() -> str:
    return render(pages.everything())


@pytest.fixture(scope="module", name="page")
def _page(text: str) -> Read:
    return Read(text)


def test_the_page_is_one_file_that_loads_nothing(text, page):
    loading = ("src", "srcset", "action", "href", "xlink:href")
    wanted = [value for _, found, _ in page.elements for key, value in found.items() if key in loading]
    assert [value for value in wanted if not re.match(r"#|asv/index.html$|data:image/png;base64,", value)] == []
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    (policy,) = [found["content"] for found, _ in page.all("meta") if "http-equiv" in found]
    assert "default-src 'none'" in policy
    assert "'sha256-" in policy


def test_links_and_labels_lead_somewhere(page):
    names = [found["id"] for _, found, _ in page.elements if "id" in found]
    assert len(names) == len(set(names)), "an id is taken twice"
    links = [value for _, found, _ in page.elements for key, value in found.items() if key in ("href", "xlink:href")]
    local = {value[1:] for value in links if value.startswith("#")}
    labels = {found["aria-labelledby"] for _, found, _ in page.elements if "aria-labelledby" in found}
    clipped = set(re.findall(r"url\(#([\w.-]+)\)", " ".join(str(found) for _, found, _ in page.elements)))
    assert local | labels | clipped <= set(names)
    assert "main" in local, "no way past the navigation"


def test_who_cannot_see_it_gets_landmarks_headings_captions_and_words(page):
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(page.all(landmark)) == 1, landmark
    assert all(found.get("aria-label") for found, _ in page.all("nav"))
    assert page.elements[-1][1] == {"lang": "en"}
    assert len(page.all("table")) == len(page.all("caption")) > 10
    assert all(found.get("scope") in ("row", "col") for found, _ in page.all("th"))
    drawings = page.all("svg")
    assert len(drawings) > 10
    assert all(found["role"] == "img" and len(found["aria-label"]) > 30 for found, _ in drawings)
    assert all(found["role"] == "group" and found["aria-label"] for found, _ in page.all("div", "scroll"))
    # A state is a word and a sign, not a colour alone.
    assert all(re.fullmatch(r".\s\S.*", text.strip()) for text in page.texts("span", "chip"))


def test_verdicts_come_with_their_reason_and_the_command_to_see_them_again(page):
    assert page.texts("h1") == ["✕fail (target, parity, crash or bad output)"]
    spectrogram = page.section("c0")
    assert "mlx_batched on stems" in spectrogram
    assert "reproduce: harness run spectrogram.mlx_batched --only parity --case stems" in spectrogram
    assert "crashed in launch 1: signal 11 (SIGSEGV) in run()" in page.section("c1")
    assert "see where the time goes with harness explain spectrogram.torch_rfft" in page.section("overview")
    assert [text.split("x")[0] for text in page.texts("b", "big")] == ["49.8", "312"]


def test_charts_hold_the_figures_of_the_verdicts(page):
    words = {found["aria-label"] for found, _ in page.all("svg")}
    said = " ".join(words)
    drawn = " ".join(page.texts("svg"))
    assert "native on stems 26.2x [25.7, 26.7] over madmom" in said
    assert "26.2x [25.7, 26.7]" in drawn
    assert "torch_rfft on stems 0.00086, allowed 0.001: pass" in said
    assert "native on stems 312 MB" in said or "native on stems 300 MB" in said
    assert "Roofline: spectrogram.native on stems 2" in said
    assert "native on stems 0.02" in said
    assert "%" in said


def test_wrong_results_are_pictured(page):
    said = [found["aria-label"] for found, _ in page.all("svg") if ", output " in found["aria-label"]]
    assert [words.partition("near [15")[0].partition("indices 193")[0] for words in said] == [
        "mlx_batched on stems, output spectrogram: map of the difference, largest 3.04e-06 ",
        "librosa on stems, output audio: reference and this row around the worst element, ",
    ]
    assert len([found for found, _ in page.all("image")]) == 1


def test_the_ledger_is_whole(page):
    rows = [text for found, text in page.all("table", "claims")]
    assert len(rows) == 5
    assert sum(text.count("\n") >= 0 and len(re.findall(r"00\d\.[\w.-]+", text)) for text in rows) >= len(load())
    assert "held" in page.section("claims")
    buttons = [found["data-filter"] for found, _ in page.all("button") if "data-filter" in found]
    assert "held" in buttons
    assert "not yet measured" in buttons


def test_history_has_its_steps_and_the_way_to_asv(page):
    history = page.section("history")
    at, after = (pages.COMMITS[number][:8] for number in (15, 14))
    assert re.search(rf"spectrogram\.native on stems: seconds_per_call\+1[345]\.\d%{at}{after}", history), history
    assert [text for found, text in page.all("a") if found.get("href") == "asv/index.html"] == ["asv dashboards", "asv's dashboards"]


def test_the_history_of_another_machine_is_drawn_not_judged():
    found = pages.everything().trends[MACHINE]
    history = page_of(verdicts(), trends={MACHINE: found, "pdp-11": found}).section("history")
    assert "pdp-11: another machine, drawn but not judged here" in history
    assert history.count("not judged here") == 1


def test_components_of_the_history_that_were_not_measured_are_folded_away():
    found = pages.everything().trends[MACHINE]
    others = [dataclasses.replace(trend, key=dataclasses.replace(trend.key, component="sorting")) for trend in found]
    history = page_of(verdicts(), trends={MACHINE: [*others, *found]}).section("history")
    assert history.index("spectrogram") < history.index("1 more component of the history") < history.index("sorting")


def test_marks_at_the_ends_of_a_history_are_not_cut():
    """What is drawn at the edge of the axes loses its half. Of one commit nothing is drawn: its figures are all there is."""
    for commits in (1, 2, 24):
        found = [trend for trend in pages.everything().trends[MACHINE] if trend.key.implementation == "torch_rfft"]
        few = [dataclasses.replace(trend, commits=trend.commits[-commits:], points=trend.points[-commits:], steps=()) for trend in found]
        drawing = trends.render(few, "t")[0].drawing
        (clip,) = (found for found in re.findall(r"<rect [^>]*>", drawing))
        left, top, width, height = (float(re.search(rf' {name}="([-\d.]+)"', clip)[1]) for name in ("x", "y", "width", "height"))
        marks = [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([-\d.]+)" y="([-\d.]+)"', drawing)]
        assert len(marks) == (commits if commits > 1 else 0)
        assert all(left + 3 <= x <= left + width - 3 and top + 3 <= y <= top + height - 3 for x, y in marks)


def test_rows_in_chunks_have_a_table_of_their_own():
    records = [*launches("native"), *in_chunks(launches("native_streaming"))]
    page = page_of(judge(plan(records), records, [], (), machine=MACHINE))
    (table,) = [text for text in page.texts("table") if "outputs in chunks" in text]
    columns = "rowfirst audiop95coldwith loadjitterunderruns"
    assert table == f"spectrogram / drums: outputs in chunks{columns}native_streaming85.9 ms91.2 ms2.40 s2.60 s1.50 ms1.00"


def test_without_history_ledger_or_limits_the_page_says_so():
    page = page_of(judge(plan(launches()), launches(), [], (), machine=MACHINE), no_history="no asv.conf.json in /somewhere")
    assert "There is no history yet: no asv.conf.json in /somewhere." in page.section("history")
    assert "written without the ledger" in page.section("claims")
    assert "harness machine --limits" in page.section("limits")
    assert "Nothing is known of it" in page.section("machine")


@pytest.mark.parametrize(
    ("records", "target", "state", "says"),
    [
        (launches(), None, "pass", "optimized rows: 1 no target"),
        (launches(), {"at_most": 1.0}, "pass", "optimized rows: 1 pass"),
        (launches(), {"at_most": 1e-9}, "fail", "rtf <= 1e-09: found"),
        (launches(floor=0.005), {"at_most": 1e-9}, "fail", "unreachable: this machine allows 2.778e-05 at best"),
        (launches(parity=[parity(False)]), None, "fail", "spectrogram differs at [812, 40]"),
        (launches(quiet=0.2), {"at_most": 1.0}, "inconclusive", "the machine was busy"),
        (launches(n=2), None, "fail", "less than planned: 2 of 3 launches left a record"),
        ([*launches(n=2), *launches(n=1)], None, "invalid", "a launch is recorded twice"),
        ([record(outcome="out of memory", message="killed")], None, "fail", "out of memory in launch 1: killed"),
    ],
)
def test_every_state(records, target, state, says):
    bounds = [Target("spectrogram", "any", "rtf", "the issue", "stated", origin="targets.toml", **target)] if target else []
    of = judge(plan(records), records, bounds, ("any",), machine=MACHINE)
    page = page_of(of, records=records)
    (banner,) = page.all("header")
    assert f"s-{state}" in banner[0]["class"]
    assert says in " ".join((banner[1], page.section("c0"), page.section("overview")))


def test_nothing_measured_is_a_page_that_is_not_green():
    gone = [LeftOut("spectrogram", "torch_cuda", "", "no CUDA device")]
    page = page_of(judge(plan([], unavailable=gone), [], [], (), machine=MACHINE))
    assert "s-fail" in page.all("header")[0][0]["class"]
    assert "nothing was planned" in page.section("overview")
    assert "torch_cuda: no CUDA device" in page.section("plan")
    assert "s-fail" in page_of(Verdicts(None, ())).all("header")[0][0]["class"]


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> & $\\frac{x}$ #010101 \x1b[31m \u202e"


def test_text_of_a_plugin_stays_text():
    evil = {"component": EVIL, "case": EVIL, "unit": EVIL, "settings": {"cache": EVIL}}
    result = dataclasses.replace(pages.wrong_beats(), output=EVIL, message=EVIL, allowed=EVIL)
    records = [*launches(EVIL, **evil), *launches("reference", **evil), record("wrong", parity=[result], **evil),
               record("broken", outcome="raised", message=EVIL, **evil)]  # fmt: skip
    bound = Target(EVIL, "any", "rtf", EVIL, "stated", at_most=1e-9, origin=EVIL)
    of = judge(plan(records, unavailable=[LeftOut("c", EVIL, "", EVIL)]), records, [bound], ("any",), machine=MACHINE)
    claims = [dataclasses.replace(entry, reason=EVIL) for entry in pages.everything().claims[:2]]
    page = page_of(of, records=records, claims=claims, facts=[(EVIL, EVIL)], no_history=EVIL)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [key for _, found, _ in page.elements for key in found if key.startswith("on")]
    shown = EVIL.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    whole = " ".join(page.texts("body"))
    assert whole.count(shown) > 10
    assert "\x1b" not in whole
    assert "\u202e" not in whole
    assert shown[:20] in " ".join(page.texts("svg")), "a chart has lost the name of its row"


def test_a_gate_shows_slow_downs_beside_their_margin():
    (row,) = judge(plan(launches()), launches(), [], (), machine=MACHINE).rows
    found = [("seconds_per_call", "fail", Interval(0.05, 0.03, 0.07, 5)), ("peak_bytes", "pass", Interval(-0.002, -0.004, 0.0, 5))]
    answers = [Answer("regression", state, "slower", metric, value, 0.01) for metric, state, value in found]
    page = page_of(Verdicts(plan(launches()), (dataclasses.replace(row, answers=(*row.answers, *answers)),)))
    (said,) = [one["aria-label"] for one, _ in page.all("svg") if "slow-downs" in one["aria-label"]]
    assert "native on drums seconds_per_call +5.0%: fail; native on drums peak_bytes -0.2%: pass" in said


def test_the_same_page_is_the_same_text():
    page = Page(judge(plan(launches()), launches(), [], (), machine=MACHINE), launches())
    assert render(page) == render(page)


def test_a_page_of_12_components_and_1000_records_is_small():
    page = pages.large(12, 1000)
    assert len(page.records) >= 1000
    assert len({row.planned.component for row in page.verdicts.rows}) == 12
    text = render(page)
    assert len(text.encode()) < 5_000_000
    read = Read(text)
    assert len(read.all("tr", "")) > len(page.verdicts.rows)
    assert len(read.all("figure")) == 5 * 12 + 1


def test_what_does_not_fit_on_a_chart_is_counted():
    records = [r for number in range(60) for r in launches(f"row_{number:02d}", 0.001 * (number + 1))] + launches("reference", 1.0)
    page = page_of(judge(plan(records), records, [], (), machine=MACHINE), records=records)
    assert "12 more rows in the table" in page.texts("figure")[0]


def test_of_what_passed_a_list_shows_a_hundred_and_counts_the_rest():
    assert kept([True, False, True]) == ([0, 1, 2], "")
    chosen, left = kept([True] * 120 + [False])
    assert (chosen[-1], len(chosen), left) == (120, 101, "; 20 more passed")


@pytest.mark.parametrize(
    ("low", "high", "log", "found"),
    [
        (1.0, 100.0, True, [1, 3, 10, 30, 100]),
        (0.5, 12.0, True, [0.5, 1, 2, 5, 10]),
        (1e-6, 1.0, True, [1e-6, 1e-4, 1e-2, 1]),
        (0.98, 1.04, True, [0.98, 1.0, 1.02, 1.04]),
        (0.0, 250.0, False, [0, 100, 200]),
        (-0.01, 0.03, False, [-0.01, 0, 0.01, 0.02, 0.03]),
    ],
)
def test_ticks_are_round_and_few(low, high, log, found):
    assert ticks(low, high, log=log) == pytest.approx(found)


def test_a_drawing_takes_its_colours_from_the_page():
    sheet = Sheet()
    sheet.label("a & b")
    sheet.line(lambda axes, y: mark(axes, [1, 2], [y, y], color=COLOURS["pass"]), "1.5x", colour="fail")
    drawing = draw(sheet, "n", "a chart", 1, 2, form=str)
    root = ElementTree.fromstring(drawing.replace("xlink:href", "href"))
    assert [element.text for element in root.iter("text")][-2:] == ["a & b", "1.5x"]
    assert "stroke: var(--pass)" in drawing
    assert [element.get("class") for element in root.iter("text")][-2:] == ["k-ink", "k-fail"]
    assert not any(colour in drawing for colour in COLOURS.values())


def test_only_markup_is_not_escaped():
    assert tag("p", "<b>", Markup("<i></i>"), None, ["a", "&"], title='"', hidden=True, lang=None) == (
        '<p title="&quot;" hidden>&lt;b&gt;<i></i>a&amp;</p>'
    )
    assert join(["<", tag("br")]) == "&lt;<br>"


def test_without_matplotlib_it_is_said_before_anything_is_measured(monkeypatch):
    need()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"a page needs matplotlib, .*audio-perf-harness\[report\]"):
        need()


def test_single_calls_are_shown_only_of_what_was_right():
    wrong = dataclasses.replace(verdicts().rows[0], metrics={})
    page = page_of(Verdicts(verdicts().plan, (wrong,)), records=of_session())
    assert "Latency of a call" not in " ".join(page.texts("figcaption"))


def test_ceilings_of_a_busy_machine_are_named_as_such():
    busy = dataclasses.replace(pages.limits(), busy="others kept 1.2 of 2 CPUs busy")
    of = judge(plan(launches()), launches(), [], (), machine=MACHINE)
    assert "measured while it was busy (others kept 1.2 of 2 CPUs busy)" in page_of(of, limits=busy).section("limits")
    assert "no row has a work model" in page_of(of, limits=pages.limits()).section("limits")


def luminance(code: str) -> float:
    channels = (int(code[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_that_text_has_can_be_read(scheme):
    """WCAG 2.2, level AA: 4.5 to 1."""
    style = files("harness.report.html").joinpath("page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]))
    assert set(COLOURS) - set(colours) == set()
    for name in set(COLOURS) - {"line"}:
        for ground in ("bg", "surface"):
            light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{name} on {ground}"


def test_another_contract_is_never_ranked_with_the_exact_rows():
    rough = {"variant": {"precision": "int8"}, "exact": False, "parity": [parity(kind="approximate", snr_db=40.0)]}
    records = [*launches("native", 0.002), *launches("native", 0.001, **rough), *launches("reference", 0.01)]
    page = page_of(judge(plan(records), records, [], ("any",), machine=MACHINE))
    (card,) = [text for found, text in page.all("a") if "over reference" in text]
    assert "native over reference" in card
    headings = [text for text in page.texts("text", "b") if "approximate" in text]
    assert headings
    assert {text.partition(": ")[2] for text in headings} == {"approximate"}


def test_a_roof_is_named_once_and_all_roofs_are_in_view():
    ceilings = [("gemm", "float64", 168.0), ("gemm", "float32", 354.0), ("gemm", "float16", 348.0), ("gemm", "int8", 1410.0),
                ("read", "L1", 499.0), ("read", "L2", 268.0), ("read", "memory", 32.6)]  # fmt: skip
    limits = Limits(MACHINE, "2025-01-02", tuple(Ceiling(name, detail, 2, value, "G/s", "probe") for name, detail, value in ceilings))
    records = [dataclasses.replace(one, floor=Floor(1e-3, "memory", 6e9, 3e6)) for one in launches("native", 0.1, component="dense")]
    records += [*launches("reference", 0.5, component="dense")]
    page = page_of(judge(plan(records), records, [], ("any",), machine=MACHINE), limits=limits)
    names = [text.strip() for text in page.texts("text")]
    assert [name for name in names if "float" in name or "int8" in name] == ["int8", "float32, float16", "float64"]
    assert {"L1", "L2", "memory"} <= set(names)
