"""Trends in a terminal: 80 columns, bars or digits, steps between the points, gaps and failures told apart."""

import dataclasses
import io

import pytest
from histories import ratios
from rich.console import Console

from harness import history
from harness.report import trend as report

KEY = history.Key("spectrogram", "seconds_per_call", "ratio", "native threads=2", "stems-30s")
STEPPED = [1.0, 1.001, 0.999, 1.0, 1.001, 1.1, 1.101, 1.099]


def trends(values=STEPPED, key=KEY, **changes):
    points = [dataclasses.replace(point, **changes) for point in ratios(values, key)]
    return history.trends(points, history.steps(points))


def shown(found, encoding="utf-8", **options):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    report.render("box", found, Console(file=stream, width=80), **options)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_a_series_is_one_line_with_its_step_newest_value_and_change():
    (found,) = trends()
    line, step = report.lines(found)
    assert "▁▁▁▁▁|███" in line
    assert line.split()[-2:] == ["1.10x", "-0.1%"]
    assert len(line) <= report.WIDTH
    assert step.strip() == f"step +10.0% at 00000000 (after 00000000; 3 points, p {found.steps[0].p:.2g})"


def test_ascii_where_the_terminal_knows_no_more():
    text = shown(trends(), "ascii")
    assert "00000|999" in text
    assert "0 to 9: lowest to highest of its series" in text
    assert text.isascii()
    assert "█" in shown(trends())
    assert "\x1b" not in shown(trends())


@pytest.mark.parametrize("count", [1, 12, 60, 500])
@pytest.mark.parametrize("name", ["a", "native[precision=float32] threads=2", "x" * 90])
def test_eighty_columns_hold_any_history(count, name):
    found = trends([1.0 + 0.001 * (i % 3) for i in range(count)], dataclasses.replace(KEY, implementation=name))
    lines = shown(found).splitlines()
    assert max(len(line) for line in lines if name not in line or len(name) < 80) <= 80
    (drawn,) = [line for line in lines if ("x" in line and "%" in line) or line.rstrip().endswith("1.00x")] or [""]
    assert ("<" in drawn) == (count > 50)
    assert drawn


def test_a_quiet_series_looks_quiet_and_a_wild_one_fills_the_height():
    (quiet,) = trends([1.0, 1.001, 0.999, 1.002])
    assert set(report.sparkline(quiet, 40)) <= set("▄▅")
    (wild,) = trends([1.0, 2.0, 1.5])
    assert report.sparkline(wild, 40)[:2] == "▁█"


def test_failed_and_unmeasured_points_are_not_drawn_as_numbers():
    other = dataclasses.replace(KEY, implementation="other")
    points = ratios([1.0, 1.0, 1.0, 1.0], other)
    mine = ratios([1.0, 1.0, 1.0, 1.0])
    mine = [mine[0], dataclasses.replace(mine[1], value=None, state="failed"), dataclasses.replace(mine[2], value=None, state="skipped")]
    found = {trend.key: trend for trend in history.trends(points + mine, [])}
    assert report.sparkline(found[mine[0].key], 40, ascii_only=True) == "4x.."
    failed = history.trends([*mine[:1], mine[1]], [])
    assert report.lines(failed[0])[0].split()[-1] == "failed"


def test_the_change_is_from_the_level_before_the_newest_point():
    def change(values):
        (found,) = trends(values)
        return found.change

    assert change([1.0]) is None
    assert change([1.0, 1.1]) == pytest.approx(0.1)
    assert change(STEPPED) == pytest.approx(1.099 / 1.1005 - 1, abs=1e-6)
    assert change([1.0, 1.001, 0.999, 1.0, 1.1]) == pytest.approx(0.1, abs=1e-3), "its own level has no other point"


def test_other_metrics_are_drawn_only_where_they_have_a_step():
    peak = dataclasses.replace(KEY, metric="peak_bytes")
    quiet = shown(trends() + trends([1.0] * 6, peak))
    assert "peak_bytes" not in quiet
    assert "1 series of other metrics, without a step, are not drawn" in quiet
    assert "native threads=2 peak_bytes" in shown(trends([1.0] * 5 + [1.5], peak))
    assert "nothing to draw" in shown([])


def test_an_older_contract_is_not_in_the_trend():
    points = ratios([1.0, 1.0, 2.0, 2.0])
    points[2:] = [dataclasses.replace(point, version="2") for point in points[2:]]
    (found,) = history.trends(points, [])
    assert [point.version for point in found.points] == ["2", "2"]


def test_text_of_plugins_cannot_command_the_terminal():
    assert "\x1b" not in shown(trends(key=dataclasses.replace(KEY, implementation="\x1b[31mred", case="\x1b]0;x")))
