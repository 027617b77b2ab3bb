"""The RTNeural peer on a library of its interface that is built here, and on RTNeural itself where HARNESS_RTNEURAL_LIBRARY names it."""

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from small_models_rows import GOLDEN_MODELS, golden_file, goldens

from harness.registry import unavailable
from harness.settings import Settings
from implementations.small_models import checkpoints, reference, rtneural_json, rtneural_peer
from implementations.small_models.component import COMPONENTS
from implementations.small_models.models import DYNAMICS_ENGINE, MODELS
from implementations.small_models.rtneural_peer import CHAIN, EMOTION, LIBRARY
from implementations.small_models.weights import random_weights

PEERS = {peer.component: peer for peer in vars(rtneural_peer).values() if hasattr(peer, "component")}
REFERENCES = {one.component: one for one in vars(reference).values() if hasattr(one, "component")}
REAL = os.environ.get(LIBRARY, "")


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("rtneural")

    def built(*flags: str) -> str:
        target = folder / f"lib{''.join(flags).replace('=', '')}.so"
        if not target.exists():
            source = Path(__file__).with_name("rtneural_library.c")
            subprocess.run([compiler, "-O2", "-shared", "-fPIC", *flags, str(source), "-o", str(target), "-lm"], check=True)
        return str(target)

    return built


@pytest.fixture(params=["own", *(["RTNeural"] if REAL else [])])
def library(request, monkeypatch):
    """HARNESS_RTNEURAL_LIBRARY names a library that works."""
    monkeypatch.setenv(LIBRARY, REAL if request.param == "RTNeural" else request.getfixturevalue("build")())


@pytest.fixture
def own(build, monkeypatch):
    monkeypatch.setenv(LIBRARY, build())


def features(component: str, frames: int) -> np.ndarray:
    columns = COMPONENTS[component].case("frame").make(0)["features"].shape[1]
    return np.random.default_rng(frames).uniform(-1, 1, (frames, columns)).astype(np.float32)


@pytest.mark.parametrize("component", COMPONENTS)
def test_it_equals_the_reference_with_and_without_state(library, component):
    policy = COMPONENTS[component].policy
    with PEERS[component].load(Settings()) as run, REFERENCES[component].load(Settings()) as expected:
        for frames, stateful in ((1, False), (7, False), (7, True), (0, True)):
            inputs = {"features": features(component, frames), "stateful": stateful}
            found, right = run(inputs), expected(inputs)
            assert set(found) == set(policy)
            for name, output in right.items():
                assert found[name].shape == output.shape
                assert found[name].dtype == np.float32
                assert np.abs(found[name] - output).max(initial=0) <= policy[name].max_abs, (name, frames, stateful)


def test_state_lasts_for_one_call(library):
    sequence = {"features": features("model_pipeline", 5), "stateful": True}
    with CHAIN.load(Settings()) as run:
        first = run(sequence)
        assert all(np.array_equal(again, first[name]) for name, again in run(sequence).items())
        alone = run({**sequence, "stateful": False})
    assert np.array_equal(alone["emotion_recognizer"][0], first["emotion_recognizer"][0])
    assert np.abs(alone["emotion_recognizer"][1:] - first["emotion_recognizer"][1:]).max() > 1e-3


def test_outputs_are_fresh_and_inputs_only_read(library):
    audio = features("model_pipeline", 3)
    audio.setflags(write=False)
    with CHAIN.load(Settings()) as run:
        first = run({"features": audio, "stateful": False})
        kept = {name: output.copy() for name, output in first.items()}
        run({"features": np.zeros_like(audio), "stateful": False})
        assert all(np.array_equal(first[name], output) for name, output in kept.items())
        turned = run({"features": np.asfortranarray(audio), "stateful": False})
        assert all(np.array_equal(turned[name], output) for name, output in kept.items())


@pytest.mark.parametrize("name", GOLDEN_MODELS)
def test_rtneural_gives_its_golden_outputs_again(library, tmp_path, name):
    path = tmp_path / "model.json"
    path.write_bytes(gzip.decompress(golden_file(name).read_bytes()))
    with rtneural_peer.opened(rtneural_peer.library(), [path], [MODELS[name]]) as compute:
        for stateful, features, outputs in goldens(name):
            assert np.abs(compute(features, stateful)[name] - outputs).max() <= 2e-6, stateful


def test_every_component_has_the_peer():
    assert list(PEERS) == list(COMPONENTS)
    assert {(peer.name, peer.role) for peer in PEERS.values()} == {("rtneural", "peer")}


def test_without_the_setting_the_reason_names_it(monkeypatch):
    monkeypatch.delenv(LIBRARY, raising=False)
    assert unavailable(CHAIN) == f"{LIBRARY}: not set; it names your shared library with RTNeural (docs/small_models_rtneural.md)"


def test_what_is_no_library_is_told(monkeypatch, tmp_path):
    text = tmp_path / "library.so"
    text.write_text("not a library")
    for path, reason in ((tmp_path / "no.so", "found nothing at"), (tmp_path, "found no file at"), (text, "for this machine, found: ")):
        monkeypatch.setenv(LIBRARY, str(path))
        assert reason in unavailable(CHAIN)
        with pytest.raises(rtneural_peer.Unusable, match=reason), CHAIN.load(Settings()):
            pass


def test_a_library_of_another_interface_is_told(build, monkeypatch):
    monkeypatch.setenv(LIBRARY, build("-DWITHOUT_RUN"))
    assert "found no rtneural_run in" in unavailable(CHAIN)
    monkeypatch.setenv(LIBRARY, build("-DVERSION=2"))
    assert "expected version 1 of the interface, found 2" in unavailable(CHAIN)
    monkeypatch.setenv(LIBRARY, build())
    assert unavailable(CHAIN) is None


def test_a_bare_name_is_a_file_here_not_one_of_the_system(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(LIBRARY, "libm.so.6")
    assert f"found nothing at {tmp_path / 'libm.so.6'}" in unavailable(CHAIN)


def test_what_the_library_cannot_load_or_run_is_an_error(build, own, monkeypatch, tmp_path):
    nothing = rtneural_peer.opened(rtneural_peer.library(), [tmp_path / "no.json"], [DYNAMICS_ENGINE])
    with pytest.raises(RuntimeError, match=r"dynamics_engine to be loaded, found: no model in .*no\.json"), nothing:
        pass
    monkeypatch.setenv(LIBRARY, build("-DFAILS=3"))
    with EMOTION.load(Settings()) as run, pytest.raises(RuntimeError, match="rtneural_run: expected 0, found 3 for 2 frames"):
        run({"features": features("emotion_recognizer", 2), "stateful": False})


def test_no_weights_are_left_behind(own, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with EMOTION.load(Settings()):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_weights_give_other_outputs(library, tmp_path):
    """What the comparison above would see: one bias of an LSTM dropped."""
    model = MODELS["emotion_recognizer"]
    weights = checkpoints.shipped()[model.name][1]
    inputs = features(model.name, 4)
    outputs = []
    for number, changed in enumerate((weights, {**weights, "2.bias_hh": np.zeros_like(weights["2.bias_hh"])}, random_weights(model, 1))):
        path = tmp_path / f"{number}.json"
        path.write_text(rtneural_json.dump(model, changed))
        with rtneural_peer.opened(rtneural_peer.library(), [path], [model]) as compute:
            outputs.append(compute(inputs, False)[model.name])
    assert np.abs(outputs[1] - outputs[0]).max() > 1e-4
    assert np.abs(outputs[2] - outputs[0]).max() > 1e-2
