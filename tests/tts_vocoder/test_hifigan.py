"""The generator against upstream's golden outputs, stage by stage; its checkpoints, right and wrong; its random weights."""

import re

import numpy as np
import pytest
from vocoder_rows import GOLDEN, SHAPES, goldens, weights

torch = pytest.importorskip("torch", reason="torch: not installed")

from safetensors.numpy import load_file, save_file  # noqa: E402

from implementations.tts.vocoder import shapes  # noqa: E402
from implementations.tts.vocoder.hifigan import (  # noqa: E402
    INSTEAD,
    BadCheckpoint,
    Generator,
    folded,
    generator,
    load,
    random_weights,
    weights_of,
)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("normed", [True, False])
def test_golden_waves_and_stages(name, normed):
    made = generator(SHAPES[name], weights(name), normed=normed)
    stages = []
    hooks = [layer.register_forward_hook(lambda _, __, output: stages.append(output.numpy())) for layer in made.ups]
    seen = 0
    for mel, wave, expected in goldens(name):
        stages.clear()
        assert np.abs(made(torch.from_numpy(mel.T[None].copy()))[0, 0].numpy() - wave).max() <= 1e-5
        for stage, golden in zip(stages, expected, strict=bool(expected)):
            assert np.abs(stage - golden).max() <= 2e-6 * np.abs(golden).max()
        seen += len(expected)
    assert seen == len(SHAPES[name].rates)
    assert len(hooks) == seen


def test_sizes_are_the_published_ones():
    millions = {name: round(shape.parameters / 1e6, 2) for name, shape in shapes.SHAPES.items()}
    assert millions == {"v1": 13.93, "v2": 0.93, "v3": 1.46, "shipped": 0.4, "v1-48khz": 14.11}
    assert {name: shape.context for name, shape in shapes.SHAPES.items()} == {"v1": 13, "v2": 13, "v3": 11, "shipped": 11, "v1-48khz": 13}
    assert shapes.V1.macs_per_frame * shapes.V1.sample_rate / shapes.V1.hop == pytest.approx(26.45e9, rel=1e-3)
    names = set(Generator(shapes.V3).state_dict())
    assert names == {f"{layer}.{part}" for layer in shapes.V3.weights() for part in ("weight", "bias")}


def test_a_config_gives_its_shape_or_says_what_it_lacks():
    config = {
        "resblock": "1", "upsample_rates": [8, 8, 2, 2], "upsample_kernel_sizes": [16, 16, 4, 4], "upsample_initial_channel": 512,
        "resblock_kernel_sizes": [3, 7, 11], "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    }  # fmt: skip
    assert shapes.Shape.from_config(config) == shapes.V1
    with pytest.raises(ValueError, match="expected 'upsample_rates', found resblock"):
        shapes.Shape.from_config({"resblock": "1"})
    with pytest.raises(ValueError, match="a kernel of 15 cannot upsample by 8"):
        shapes.Shape.from_config(config | {"upsample_kernel_sizes": [15, 16, 4, 4]})


def test_upstreams_pickled_checkpoint_and_safetensors_give_the_same(tmp_path):
    state = load_file(GOLDEN / "hifigan_v3.safetensors")
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    torch.save({"generator": tensors}, tmp_path / "g_02500000")
    torch.save(tensors, tmp_path / "bare.pt")
    expected = weights("v3")
    save_file(expected, tmp_path / "folded.safetensors")  # as after remove_weight_norm()
    for file in ("g_02500000", "bare.pt", "folded.safetensors"):
        found = load(tmp_path / file, SHAPES["v3"])
        assert all(np.array_equal(found[name], expected[name]) for name in expected), file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("conv_pre.bias"), r"expected conv_pre.bias \(32,\), found"),
        (lambda s: s.update({"extra": s["conv_post.bias"]}), "the generator has no extra"),
        (lambda s: s.update({"ups.0.weight_v": s["ups.0.weight_v"][:-1]}), r"ups.0.weight_v: expected shape \(32, 16, 16\), found \(31,"),
        (lambda s: s.update({"ups.1.bias": s["ups.1.bias"].astype(np.int32)}), "ups.1.bias: expected floating point numbers, found int32"),
        (lambda s: s.update({"conv_post.bias": np.array([np.nan], np.float32)}), r"conv_post.bias: found nan at \(0,\)"),
        (lambda s: s.update({"conv_pre.weight_v": 0 * s["conv_pre.weight_v"]}), "conv_pre.weight_v: row 0 is zero"),
    ],
)
def test_a_state_that_is_not_the_generators_is_refused(change, message):
    state = load_file(GOLDEN / "hifigan_v3.safetensors")
    change(state)
    with pytest.raises(BadCheckpoint, match=message):
        folded(SHAPES["v3"], state)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    (tmp_path / "text").write_text("not a checkpoint")
    (tmp_path / "cut.safetensors").write_bytes((GOLDEN / "hifigan_v3.safetensors").read_bytes()[:5000])
    torch.save([1, 2], tmp_path / "list.pt")
    for file, message in {
        "text": "not a torch checkpoint of weights alone",
        "cut.safetensors": "not a readable safetensors file",
        "list.pt": "expected a state dict of tensors, or one under 'generator', found list",
        "missing": "no such file",
        ".": "found a folder",
    }.items():
        with pytest.raises(BadCheckpoint, match=re.escape(message)):
            load(tmp_path / file, SHAPES["v3"])
    with pytest.raises(BadCheckpoint, match="another shape of generator"):
        load(GOLDEN / "hifigan_v3.safetensors", shapes.V3)


def test_a_folder_of_checkpoints_takes_the_place_of_random_weights(tmp_path, monkeypatch):
    monkeypatch.setenv(INSTEAD, str(tmp_path))
    assert weights_of("v3") is random_weights(shapes.V3)
    ours = {name: array * np.float32(0.5) for name, array in random_weights(shapes.V3).items()}
    save_file(ours, tmp_path / "v3.safetensors")
    assert np.array_equal(weights_of("v3")["conv_pre.weight"], ours["conv_pre.weight"])
    (tmp_path / "v3.pth").write_bytes(b"")
    with pytest.raises(BadCheckpoint, match=r"expected one checkpoint of v3, found v3.pth, v3.safetensors"):
        weights_of("v3")


def test_random_weights_keep_the_signal_alive():
    random = torch.Generator().manual_seed(5)
    made = generator(shapes.V3, random_weights(shapes.V3))
    deviations = {}
    for name, layer in made.named_modules():
        if "conv" in name and not isinstance(layer, torch.nn.ModuleList):
            layer.register_forward_hook(lambda _, __, output, name=name: deviations.__setitem__(name, float(output.std())))
    made(torch.randn(1, 80, 16, generator=random))
    assert deviations
    assert all(0.2 < deviation < 2.0 for deviation in deviations.values()), deviations
    other = random_weights(shapes.V3, seed=1)
    assert not np.array_equal(other["conv_pre.weight"], random_weights(shapes.V3)["conv_pre.weight"])


def test_random_weights_do_not_depend_on_threads():
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(random_weights.__wrapped__(shapes.V3))
    torch.set_num_threads(before)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])
