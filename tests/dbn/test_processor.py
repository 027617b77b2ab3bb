"""The library door: madmom's call, the fastest backend, one clear error for what is wrong."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from implementations._backends import Backends
from implementations.dbn import DBNDownBeatTrackingProcessor, numpy_semimarkov, processor
from implementations.dbn.component import network_output
from implementations.dbn.preparation import combine_activations

GOLDEN = Path(__file__).parents[1] / "golden"
FACTS = json.loads((GOLDEN / "madmom_dbn.json").read_text())
CASES = {case["case"]: case for case in FACTS["cases"]}
PORTABLE = ("numpy_semimarkov", "reference")


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDEN / "madmom_dbn.npz", allow_pickle=False) as found:
        return dict(found)


@pytest.fixture(autouse=True)
def _try_backends_again():
    processor.BACKENDS.forget()
    yield
    processor.BACKENDS.forget()


@pytest.mark.parametrize("backend", ["auto", *PORTABLE])
@pytest.mark.parametrize("name", ["exact_period_ties.thr024", "noisy34.lists", "fps50_34.bpb2346_nocorrect", "T1_strong.thr024"])
def test_it_finds_madmoms_beats(arrays, backend, name):
    case = CASES[name]
    found = DBNDownBeatTrackingProcessor(**case["settings"], backend=backend)(arrays[f"act/{case['activation']}"])
    np.testing.assert_array_equal(found, arrays[case["beats"]])
    assert found.dtype == np.float64


def test_beats_at_the_edges_and_what_may_change_between_calls():
    activations = np.full((200, 2), 1e-4)
    activations[[0, 199], 1] = 1
    activations[[49, 99, 149], 0] = 1
    track = DBNDownBeatTrackingProcessor([3, 4], fps=100)
    assert track.correct is True
    np.testing.assert_allclose(track(activations), [[0, 1], [0.49, 2], [0.99, 3], [1.49, 4], [1.99, 1]])
    track.correct = False
    assert not np.array_equal(track.process(activations)[:, 0], [0, 0.49, 0.99, 1.49, 1.99])
    track.threshold = 2
    assert track(activations).shape == (0, 2)


def test_arguments_stand_in_madmoms_order():
    track = DBNDownBeatTrackingProcessor([3, 4], 60, 200, 40, 50, 8, 0.1, False, 50)
    assert (track.fps, track.threshold, track.correct) == (50, 0.1, False)
    assert track.beats_per_bar.tolist() == [3, 4]
    assert track._parameters["observation_lambda"] == 8


def test_auto_takes_the_first_that_works(monkeypatch):
    names = ("missing", "numpy_semimarkov", "reference")
    monkeypatch.setattr(processor, "BACKENDS", Backends("dbn", names, names, processor._compare))
    assert DBNDownBeatTrackingProcessor(4, fps=100).backend == "numpy_semimarkov"
    assert "not installed: No module named 'implementations.dbn.missing'" in processor.BACKENDS.problem("missing")


def test_auto_passes_over_a_backend_with_another_result(monkeypatch):
    def wrong(densities, models):
        return [(path + 1, log_probability) for path, log_probability in right(densities, models)]

    right = numpy_semimarkov.decode
    monkeypatch.setattr(processor, "BACKENDS", Backends("dbn", PORTABLE, PORTABLE, processor._compare))
    monkeypatch.setattr(numpy_semimarkov, "decode", wrong)
    with pytest.warns(RuntimeWarning, match=r"dbn: numpy_semimarkov is passed over: .*differ from the reference's"):
        assert DBNDownBeatTrackingProcessor(4, fps=100).backend == "reference"
    with pytest.raises(RuntimeError, match=r"backend numpy_semimarkov does not work here: .*differ from the reference's"):
        DBNDownBeatTrackingProcessor(4, fps=100, backend="numpy_semimarkov")


def test_a_backend_is_closed_with_its_processor(monkeypatch):
    closed = []

    class Loaded:
        def __enter__(self):
            return lambda inputs: {"beats": np.empty((0, 2))}

        def __exit__(self, *error):
            closed.append(True)

    monkeypatch.setattr(processor, "BACKENDS", Backends("dbn", PORTABLE, PORTABLE, lambda name: None))
    monkeypatch.setattr(processor, "_loaded", lambda backend, threads: Loaded())
    track = DBNDownBeatTrackingProcessor(4, fps=100, backend="reference")
    assert not closed
    del track
    gc.collect()
    assert closed == [True]


def test_whole_way_from_a_network():
    track = DBNDownBeatTrackingProcessor([3, 4], threshold=0.24, fps=50, backend="numpy_semimarkov")
    beats = track(combine_activations(*network_output(20, 50, 5)))
    assert len(beats) > 15
    assert set(beats[:, 1]) <= {1, 2, 3, 4}
    assert (np.diff(beats[:, 0]) > 0.2).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fps": None}, "fps: expected a number above 0, found None"),
        ({"backend": "cython"}, "backend: expected auto or one of native, numpy_semimarkov, reference, found 'cython'"),
        ({"min_bpm": 300}, "expected min_bpm <= max_bpm"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        DBNDownBeatTrackingProcessor(**{"beats_per_bar": [3, 4], "fps": 100, **wrong})


@pytest.mark.parametrize("activations", [np.zeros(5), np.zeros((5, 3)), [[0.1, 0.2], [np.nan, 0.1]], np.zeros((5, 2), int), "beats"])
def test_wrong_activations(activations):
    track = DBNDownBeatTrackingProcessor(4, fps=100, backend="reference")
    with pytest.raises(ValueError, match="activations: expected"):
        track(activations)
