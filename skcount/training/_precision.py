"""Which devices compute in mixed precision faster than in single precision."""

import torch

__all__ = ["computes_bfloat16"]


def computes_bfloat16(device):
    """Whether a device multiplies numbers in bfloat16 by instructions of its own.

    Without them a CPU takes many times as long as in single precision.

    Parameters
    ----------
    device : str or torch.device
        Where to compute.

    Returns
    -------
    bool
        False where the device does not say.

    Examples
    --------
    >>> computes_bfloat16("meta")
    False
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False
