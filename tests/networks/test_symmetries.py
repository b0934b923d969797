import pytest
import torch

from skcount.networks import average_over_symmetries


def lean(x):
    """A map that depends on how the image lies: each pixel's own value and its right neighbour's."""
    return x[:, :1] + x[:, :1].roll(-1, 3)


def symmetries(x):
    return [x.flip(mirror).rot90(turns, (2, 3)) for mirror in ((), (3,)) for turns in range(4)]


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (1, 4)])
def test_it_commutes_with_every_symmetry(shape):
    x = torch.rand(2, 3, *shape, dtype=torch.float64)
    averages = [average_over_symmetries(lean, image) for image in symmetries(x)]
    for one, other in zip(averages, symmetries(averages[0]), strict=True):
        torch.testing.assert_close(one, other)


def test_a_map_that_knows_no_direction_is_what_it_was():
    x = torch.rand(2, 3, 4, 7, dtype=torch.float64)
    torch.testing.assert_close(average_over_symmetries(lambda y: y[:, 1:2].square(), x), x[:, 1:2].square())


def test_each_of_the_eight_is_seen_once():
    x, seen = torch.rand(1, 1, 4, 4), []
    average_over_symmetries(lambda y: (seen.append(y), y)[1], x)
    assert len(seen) == 8
    assert all(sum(torch.equal(image, y) for y in seen) == 1 for image in symmetries(x))


def test_left_and_right_may_be_all_that_is_exchanged():
    x, seen = torch.rand(1, 1, 4, 6), []
    average = average_over_symmetries(lambda y: (seen.append(y), lean(y))[1], x, mirror_only=True)
    assert len(seen) == 2
    assert torch.equal(seen[0], x)
    assert torch.equal(seen[1], x.flip(3))
    torch.testing.assert_close(average, (lean(x) + lean(x.flip(3)).flip(3)) / 2)
