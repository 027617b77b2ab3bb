"""The native products, at every dispatch level that can run here, of every type, beside float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
native = pytest.importorskip("implementations.generator._native")

LEVELS = native.levels()
SHAPES = [(1, 1), (3, 5), (66, 48), (69, 160), (8197, 96), (257, 1031)]


def exact(weights, x):
    return x.double() @ weights.double().T


def run(level, weights, x, threads=1):
    from implementations.generator.native import hold

    return hold(weights, threads=threads, level=level)(x)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products(level, dtype, shape):
    generator = torch.Generator().manual_seed(sum(shape))
    weights = torch.randn(shape, generator=generator).to(dtype)
    for rows in (1, 2, 3, 7, 8, 16, 64, 65):
        x = torch.randn(rows, shape[1], generator=generator)
        torch.testing.assert_close(run(level, weights, x).double(), exact(weights, x), atol=2e-6 * shape[1], rtol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_row_is_the_same_whatever_is_beside_it(level):
    """Bit for bit: also between threads."""
    generator = torch.Generator().manual_seed(0)
    weights, x = torch.randn(1025, 700, generator=generator).bfloat16(), torch.randn(11, 700, generator=generator)
    together = run(level, weights, x)
    assert torch.equal(together, run(level, weights, x, threads=3))
    for row in range(11):
        assert torch.equal(together[row : row + 1], run(level, weights, x[row : row + 1]))


@pytest.mark.parametrize("level", LEVELS)
def test_every_half_widens_as_it_is(level):
    """Denormals, the largest and both zeros among them."""
    halves = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(torch.float16)
    weights = halves[torch.isfinite(halves)][:, None].repeat(1, 3)
    found = run(level, weights, torch.tensor([[0.0, 1.0, 0.0]]))
    assert torch.equal(found[0], weights[:, 1].float())


@pytest.mark.parametrize("level", LEVELS)
def test_eight_bits(level):
    from implementations.generator.native import hold_int8

    generator = torch.Generator().manual_seed(0)
    weights, x = torch.randn(69, 160, generator=generator), torch.randn(2, 160, generator=generator)
    scales = weights.abs().amax(dim=1, keepdim=True) / 127
    rounded = (weights / scales).round() * scales
    found = hold_int8(weights, threads=1, level=level)(x)
    torch.testing.assert_close(found.double(), exact(rounded, x), atol=1e-4, rtol=0)
    many = torch.randn(70, 160, generator=generator)
    torch.testing.assert_close(hold_int8(weights, threads=1, level=level)(many).double(), exact(rounded, many), atol=1e-4, rtol=0)
    assert torch.isfinite(hold_int8(torch.zeros(3, 160), threads=1)(x)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int8])
def test_a_matrix_that_is_laid_out_is_one_stream_and_can_be_had_back(shape, dtype):
    from implementations.generator.native import lay_out

    weights = torch.arange(np.prod(shape)).remainder(120).view(shape).to(dtype)
    laid = lay_out(weights)
    plain = laid.plain()
    assert torch.equal(plain.view(dtype), weights)
    assert laid.weights.flags.c_contiguous
    whole = laid.weights.shape[0] * native.ROWS, laid.weights.shape[1] * native.LINE
    assert all(0 <= room - size < unit for room, size, unit in zip(whole, shape, (native.ROWS, native.LINE), strict=True))
    assert np.count_nonzero(laid.weights) == torch.count_nonzero(weights)
    row, column = shape[0] - 1, shape[1] - 1
    place = laid.weights[row // native.ROWS, column // native.LINE, row % native.ROWS, column % native.LINE]
    assert place == laid.plain()[row, column].numpy().view(laid.weights.dtype)


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_beyond_the_result_is_written_or_taken_from_beyond_the_matrix(level):
    """What follows the last output and input may be anything but NaN: it meets zeros, or nobody."""
    weights = np.ones((2, 1, native.ROWS, native.LINE), np.float32)
    weights[1, :, 1:] = 1e30
    weights[..., 3:] = 1e30
    result = np.full((4, native.ROWS + 1), np.nan, np.float32)
    native.multiply(native.level(level), weights, np.ones((2, 3), np.float32), result[1:3], scales=None, threads=2)
    assert (result[1:3] == 3).all()
    assert np.isnan(result[[0, 3]]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.ones((2, native.LINE + 1), np.float32)}, "as many columns as the weights have"),
        ({"out": np.ones((2, native.ROWS), np.float32)}, r"expected shape \(rows, outputs\)"),
        ({"out": np.ones((1, native.ROWS + 1), np.float32)}, r"expected shape \(rows, outputs\)"),
        ({"scales": np.ones(4, np.float32)}, "expected one per output"),
        ({"scales": np.ones(native.ROWS + 1, np.float32)}, "int8 weights have them"),
        ({"threads": 0}, "expected 1 or more, found 0"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    laid = np.ones((2, 1, native.ROWS, native.LINE), np.float32)
    whole = {"weights": laid, "x": np.ones((2, 3), np.float32), "out": np.ones((2, native.ROWS + 1), np.float32)}
    with pytest.raises(ValueError, match=message):
        native.multiply(native.level("auto"), **{**whole, "scales": None, "threads": 1, **changes})


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match=r"level: expected one of .*baseline, found 'avx1024'"):
        native.level("avx1024")
