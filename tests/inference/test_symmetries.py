import numpy as np
import pytest
import torch

from skcount.inference import Symmetry, symmetries

every_symmetry = pytest.mark.parametrize("symmetry", symmetries(), ids=str)


def test_there_are_eight_two_or_one_and_the_image_itself_comes_first():
    x = torch.rand(1, 1, 4, 4)
    for augment, n in (("rotations", 8), ("mirror", 2), (None, 1)):
        seen = [symmetry(x) for symmetry in symmetries(augment)]
        assert len(seen) == n
        assert torch.equal(seen[0], x)
        assert all(sum(torch.equal(image, other) for other in seen) == 1 for image in seen)
    assert torch.equal(symmetries("mirror")[1](x), x.flip(3))


@every_symmetry
@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (1, 4)])
def test_undoing_gives_back_the_image(symmetry, shape):
    x = torch.rand(2, 3, *shape)
    assert symmetry(x).shape == (2, 3, *symmetry.shape(shape))
    assert torch.equal(symmetry.undo(symmetry(x)), x)


@every_symmetry
@pytest.mark.parametrize("window", [(0, 0, 1, 1), (2, 1, 3, 2), (0, 0, 5, 5), (1, 3, 4, 2)])
def test_a_window_on_the_turned_image_is_found_on_the_image(symmetry, window):
    x = torch.arange(5 * 7).reshape(5, 7)
    top, left, height, width = window
    seen = symmetry(x)[top : top + height, left : left + width]
    assert seen.shape == (height, width)
    top, left, height, width = symmetry.undo_window(window, (5, 7))
    assert torch.equal(symmetry(x[top : top + height, left : left + width]), seen)


def test_turns_are_counterclockwise():
    assert torch.equal(Symmetry(turns=1)(torch.tensor([[1, 2]])), torch.tensor([[2], [1]]))


@every_symmetry
def test_arrays_and_points_move_as_the_image_does(symmetry):
    image = np.random.default_rng(0).random((2, 5, 7))
    moved, nothing = symmetry.of_arrays(image, None)
    assert nothing is None
    np.testing.assert_array_equal(moved, symmetry(torch.from_numpy(image)).numpy())
    points = np.array([(0, 0, 1), (4, 2, 5), (3, 6, 9)])
    for (row, col, mark), (new_row, new_col, new_mark) in zip(
        points, symmetry.of_points(points, (5, 7)), strict=True
    ):
        assert mark == new_mark
        np.testing.assert_array_equal(moved[:, new_row, new_col], image[:, row, col])
