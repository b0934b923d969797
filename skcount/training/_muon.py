"""Muon: steps of equal size in every direction of a kernel.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from operator import itemgetter

import torch


class Muon(torch.optim.Optimizer):
    """Muon for kernels; Adam, at `lr` times `adam_ratio`, for scales, shifts, and kernels of a single filter."""

    # A kernel is a matrix with one row per filter. Muon replaces its averaged gradient by the nearest orthogonal matrix, so
    # that directions with small gradients are learnt as fast as the others. These networks need half as many steps as with
    # Adam, and end with a smaller error. `torch.optim.Muon` rejects kernels of convolutions, which have four
    # dimensions.

    def __init__(
        self, params, lr=0.02, adam_ratio=0.15, momentum=0.95, betas=(0.9, 0.999), weight_decay=0.01
    ):
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        groups, self.param_groups = self.param_groups, []
        for group in groups:
            self.param_groups += filter(itemgetter("params"), _split(group, adam_ratio))

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step; `closure` computes the loss and its gradients again, and the loss is returned."""
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
    """Bring all singular values of a matrix to between 0.7 and 1.2; 0 stays 0."""
    # Newton-Schulz iterations with the coefficients of Jordan et al., which trade exactness for speed.
    x = matrix / (torch.linalg.matrix_norm(matrix) + 1e-7)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(n_iterations):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def _split(group, adam_ratio):
    """Divide a group of parameters into kernels and the rest."""
    kernels, others = [], []
    for parameter in group["params"]:
        is_kernel = parameter.ndim > 1 and len(parameter) > 1
        (kernels if is_kernel else others).append(parameter)
    return (
        {**group, "params": kernels, "is_kernel": True},
        {**group, "params": others, "is_kernel": False, "lr": group["lr"] * adam_ratio},
    )
