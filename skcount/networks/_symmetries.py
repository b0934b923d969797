"""The symmetries of a picture: flips and turns by 90 degrees."""


def average_over_symmetries(network, images, mirror_only=False):
    """Mean of what a network maps the flips and turns of images to, each turned back.

    Errors that depend on how an object happens to lie cancel in part; the cost is that of so many predictions.

    Parameters
    ----------
    network : callable
        Maps (n, n_channels, height, width) to (n, 1, height, width), of any height and width.
    images : tensor of shape (n, n_channels, height, width)
        Images, square or not.
    mirror_only : bool, default=False
        Whether left and right are all that is exchanged: two symmetries, not eight.

    Returns
    -------
    tensor of shape (n, 1, height, width)
        The mean, as the images lie.

    Examples
    --------
    >>> import torch
    >>> images = torch.rand(1, 3, 4, 6)
    >>> average = average_over_symmetries(lambda x: x[:, :1].square(), images)
    >>> torch.allclose(average, images[:, :1].square())
    True
    """
    flips, turns = ((), (-1,)), range(1 if mirror_only else 4)
    total = sum(
        network(images.flip(flip).rot90(k, (-2, -1))).rot90(-k, (-2, -1)).flip(flip)
        for flip in flips
        for k in turns
    )
    return total / (len(flips) * len(turns))
