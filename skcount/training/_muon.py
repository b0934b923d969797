"""Muon: steps of equal size in every direction of a kernel."""

import torch


class Muon(torch.optim.Optimizer):
    """Muon for kernels, Adam for all other parameters.

    A kernel is a matrix: one row a filter. Muon replaces its averaged gradient by the nearest orthogonal matrix, so that
    directions that the gradient hardly sees are learnt as fast as the others. Networks here need half the steps that Adam
    needs, and end with a smaller error. Scales, shifts, and kernels of a single filter take Adam's steps.
    (``torch.optim.Muon`` refuses kernels of convolutions, which have four dimensions.)

    Parameters
    ----------
    params : iterable of torch.nn.Parameter, or of dict
        What to optimise, as for every torch optimizer.
    lr : float, default=0.02
        Learning rate of the kernels: the size of a step in each of a kernel's directions.
    adam_ratio : float, default=0.15
        Learning rate of all other parameters, relative to `lr`.
    momentum : float, default=0.95
        How much of a kernel's past gradients its average keeps; Nesterov's kind.
    betas : (float, float), default=(0.9, 0.999)
        The same for Adam's averages of gradients and of their squares.
    weight_decay : float, default=0.01
        Part of a kernel that a step takes away, relative to `lr`.

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.

    Examples
    --------
    >>> import torch
    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch...>
    >>> layer = torch.nn.Conv2d(3, 8, 3)
    >>> optimizer, images = Muon(layer.parameters(), lr=0.1), torch.rand(2, 3, 5, 5)
    >>> before = layer(images).square().mean()
    >>> before.backward()
    >>> optimizer.step()
    >>> bool(layer(images).square().mean() < before)
    True
    """

    def __init__(
        self, params, lr=0.02, adam_ratio=0.15, momentum=0.95, betas=(0.9, 0.999), weight_decay=0.01
    ):
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.param_groups = [
            part for group in self.param_groups for part in _split(group, adam_ratio) if part["params"]
        ]

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step.

        Parameters
        ----------
        closure : callable or None, default=None
            Computes the loss and its gradients anew.

        Returns
        -------
        tensor or None
            What the closure returns.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._update_kernel if group["is_kernel"] else self._update_other
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, group)
        return loss

    def _update_kernel(self, parameter, group):
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(parameter.grad, 1 - group["momentum"])
        ahead = parameter.grad.lerp(mean, group["momentum"])
        direction = orthogonalize(ahead.flatten(1)).view_as(parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])

    def _update_other(self, parameter, group):
        state = self.state[parameter]
        if not state:
            state |= {
                "step": 0,
                "mean": torch.zeros_like(parameter),
                "square": torch.zeros_like(parameter),
            }
        state["step"] += 1
        decay, square_decay = group["betas"]
        mean = state["mean"].lerp_(parameter.grad, 1 - decay)
        square = state["square"].lerp_(parameter.grad.square(), 1 - square_decay)
        deviation = square.div(1 - square_decay ** state["step"]).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean, deviation, value=-group["lr"] / (1 - decay ** state["step"]))


def orthogonalize(matrix, n_iterations=5):
    """Nearest orthogonal matrix, roughly: all singular values are brought to between 0.7 and 1.2.

    Newton-Schulz iterations with the coefficients of Jordan et al., which trade exactness for speed.

    Parameters
    ----------
    matrix : tensor of shape (n_rows, n_columns)
        Any matrix.
    n_iterations : int, default=5
        Number of iterations.

    Returns
    -------
    tensor of shape (n_rows, n_columns)
        The matrix with its singular values near 1; 0 stays 0.

    Examples
    --------
    >>> import torch
    >>> matrix = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    >>> [round(float(value), 1) for value in torch.linalg.svdvals(orthogonalize(matrix))]
    [1.0, 0.7]
    """
    x = matrix / (torch.linalg.matrix_norm(matrix) + 1e-7)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(n_iterations):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def _split(group, adam_ratio):
    """Divide a group of parameters into kernels and others."""
    kernels, others = [], []
    for parameter in group["params"]:
        is_kernel = parameter.ndim > 1 and len(parameter) > 1
        (kernels if is_kernel else others).append(parameter)
    return (
        {**group, "params": kernels, "is_kernel": True},
        {**group, "params": others, "is_kernel": False, "lr": group["lr"] * adam_ratio},
    )
