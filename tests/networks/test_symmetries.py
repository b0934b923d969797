import numpy as np
import pytest
import torch

from skcount.networks import symmetries
from skcount.networks._symmetries import Symmetry

every_symmetry = pytest.mark.parametrize("symmetry", symmetries(), ids=str)


def test_there_are_eight_two_or_one_and_the_image_itself_comes_first():
    x = torch.rand(1, 1, 4, 4)
    for which, n in ((True, 8), (np.True_, 8), ("mirror", 2), (False, 1)):
        seen = [symmetry(x) for symmetry in symmetries(which)]
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
