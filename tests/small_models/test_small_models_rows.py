"""Every row of the six components that runs here: goldens, cases, adversarial inputs, manners. Others are skipped with the reason."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from small_models_rows import GOLDEN_MODELS, goldens, rows, use_golden_weights

from harness.component import Loaded
from harness.measure.process import WorkerProcess, pins
from harness.parity import compare
from harness.settings import Settings
from implementations.small_models import checkpoints
from implementations.small_models.component import COMPONENTS, PIPELINE, live_parameters, members, output_names
from implementations.small_models.reference import CHAIN, DYNAMICS, EMOTION, GROOVE, HARMONY, MELODY
from implementations.spectrogram.component import COMPONENT as SPECTROGRAM

ROWS = rows()
HERE = [row for row in ROWS if not row.missing and row.implementation.role != "reference"]
REFERENCES = {item.component: item for item in (EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN)}


@pytest.fixture(scope="module", params=HERE, ids=[row.name for row in HERE])
def row(request):
    return request.param


@pytest.fixture(scope="module")
def compute(row):
    with row.implementation.load(row.settings) as run:
        yield run


@pytest.fixture(scope="module")
def reference(row):
    size = row.settings.only(("model_size",))
    with REFERENCES[row.implementation.component].load(size) as run:
        yield run


def failures(row, expected, outputs, inputs):
    policy = COMPONENTS[row.implementation.component].policy
    return [result.message for result in compare(expected, outputs, policy, replaced=row.replaced, inputs=inputs) if not result.passed]


def test_every_implementation_of_this_package_is_seen():
    names = {row.implementation.name for row in ROWS}
    assert {"reference", "numpy_packed", "torch_eager", "torch_cuda", "torch_mps", "mlx_graph", "onnxruntime"} <= names
    assert len({row.implementation.component for row in ROWS}) == 6


@pytest.mark.parametrize("name", sorted({row.implementation.name for row in ROWS}))
def test_rows_that_cannot_run_here_say_why(name):
    reasons = {row.missing for row in ROWS if row.implementation.name == name and row.missing}
    if reasons:
        pytest.skip("; ".join(sorted(reasons)))


@pytest.mark.parametrize(
    "row", [row for row in HERE if row.implementation.component in GOLDEN_MODELS and not row.settings.given()], ids=lambda r: r.name
)
def test_rtneural_golden_outputs(row, monkeypatch):
    use_golden_weights(monkeypatch, row.implementation.component)
    with row.implementation.load(row.settings) as run:
        for stateful, features, expected in goldens(row.implementation.component):
            assert np.abs(run({"features": features, "stateful": stateful})["output"] - expected).max() <= 2e-6


def test_cases_of_the_component(row, compute, reference):
    for case in COMPONENTS[row.implementation.component].cases:
        inputs = case.make(1)
        assert not failures(row, reference(inputs), compute(inputs), inputs), case.name


def test_adversarial_inputs(row, compute, reference):
    component = COMPONENTS[row.implementation.component]

    @seed(20261125)
    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(component.strategy())
    def agrees(inputs):
        assert not failures(row, reference(inputs), compute(inputs), inputs)

    agrees()


def test_input_is_only_read_and_the_output_is_fresh(row, compute):
    features = np.random.default_rng(1).uniform(-1, 1, (5, members(row.implementation.component)[0].inputs)).astype(np.float32)
    before = features.copy()
    features.setflags(write=False)
    for stateful in (False, True):
        first = compute({"features": features, "stateful": stateful})
        kept = {name: output.copy() for name, output in first.items()}
        compute({"features": np.zeros_like(features), "stateful": stateful})
        again = compute({"features": features, "stateful": stateful})
        assert np.array_equal(features, before)
        for name, output in first.items():
            assert output.dtype == np.float32
            assert np.array_equal(output, kept[name])
            assert np.array_equal(again[name], output), "state must start fresh at each call"


def test_no_frames_give_no_outputs(row, compute):
    columns = members(row.implementation.component)[0].inputs
    for stateful in (False, True):
        outputs = compute({"features": np.empty((0, columns), np.float32), "stateful": stateful})
        shapes = {output_names(row.implementation.component)[m.name]: (0, m.outputs) for m in members(row.implementation.component)}
        assert {name: output.shape for name, output in outputs.items()} == shapes


def test_bad_input_is_refused(row, compute):
    columns = members(row.implementation.component)[0].inputs
    with pytest.raises(ValueError, match="expected shape"):
        compute({"features": np.zeros((1, columns + 1), np.float32), "stateful": False})
    bad = np.zeros((3, columns), np.float32)
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match="found nan at frame 1, column 2"):
        compute({"features": bad, "stateful": True})


@pytest.mark.parametrize("name", ["numpy_packed", "torch_eager", "mlx_graph", "onnxruntime"])
def test_batches_change_nothing_but_the_time(name):
    row = next(row for row in ROWS if row.name == f"{PIPELINE}.{name}")
    if row.missing:
        pytest.skip(row.missing)
    inputs = COMPONENTS[PIPELINE].case("offline-1024").make(2)
    inputs = {"features": inputs["features"][:50], "stateful": False}
    with row.implementation.load(Settings()) as whole, row.implementation.load(Settings(batch=16)) as parts:
        for output, expected in whole(inputs).items():
            assert np.abs(parts(inputs)[output] - expected).max() < 1e-5


def test_a_precision_that_is_not_there_is_refused():
    row = next(row for row in ROWS if row.name == f"{PIPELINE}.mlx_graph")
    with pytest.raises(ValueError, match=r"model_pipeline\.mlx_graph: precision: expected float32 or int8, found 'float16'"):
        row.implementation.load(Settings(precision="float16")).__enter__()


def test_rows_say_what_their_weights_take(row, compute):
    served = checkpoints.shipped(row.settings.model_size or "large")
    models = [served[model.name][0] for model in members(row.implementation.component)]
    # The native engine's are those of a single frame without state, which has no use for some.
    parameters = sum(live_parameters(m, False) if row.implementation.name == "native" else m.parameters() for m in models)
    assert isinstance(compute, Loaded)
    width = {"int24": 3, "bfloat16": 2, "float16": 2, "int8": 1}.get(row.settings.precision or "float32", 4)
    # Narrow ones come with scales for each output or group, and whole vectors of outputs; two biases of an LSTM may have become one.
    assert 0.9 * width <= compute.weight_bytes / parameters <= 1.1 * width + 0.4


def test_a_worker_tells_it_to_the_harness():
    with WorkerProcess("dynamics_engine.numpy_packed", pins(1, {})) as worker:
        assert _weight_bytes(worker, "implementations.small_models.numpy_packed:DYNAMICS", COMPONENTS["dynamics_engine"]) == 4 * 13_520
    with WorkerProcess("spectrogram.reference", pins(1, {})) as worker:
        assert _weight_bytes(worker, "implementations.spectrogram.reference:IMPLEMENTATION", SPECTROGRAM) is None


def _weight_bytes(worker, implementation, component):
    """What the first call on the quick case says."""
    (quick,) = (case for case in component.cases if case.quick)
    worker.ask("prepare", inputs={"0": quick.make(0)}, seed=0)
    worker.ask("load", implementation=implementation, settings={})
    return worker.ask("cold", seed=0)["weight_bytes"]
