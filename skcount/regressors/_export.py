"""Fitted networks as ONNX files, for programs that have no torch."""

import io
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skcount._files import check_target, replacing
from skcount._optional import import_optional
from skcount.networks import inference_copy

# How far a count by ONNX Runtime may be from torch's, in objects, beside a millionth of it.
TOLERANCE = 1e-3


class ExportedNetwork(nn.Module):
    """A `DensityNetwork` in evaluation mode, written so that no size of an image is special.

    Parameters
    ----------
    module : DensityNetwork
        The network.

    Examples
    --------
    >>> from skcount.networks import DensityNetwork, UNet
    >>> network = DensityNetwork(UNet(1, filters=2), mean=[0.5], std=[0.2]).eval()
    >>> density, counts = ExportedNetwork(network)(torch.rand(2, 1, 9, 20))
    >>> density.shape, counts.shape
    (torch.Size([2, 9, 20]), torch.Size([2]))
    """

    def __init__(self, module):
        super().__init__()
        self.network = module.network
        self.stride = module.stride
        for name in ("mean", "std", "output_scale"):
            self.register_buffer(name, getattr(module, name))

    def forward(self, images):
        """Map images to densities and counts.

        Parameters
        ----------
        images : tensor of shape (n, n_channels, height, width)
            Pixels, integers scaled by their type's range.

        Returns
        -------
        density : tensor of shape (n, height, width)
            Objects per pixel.
        counts : tensor of shape (n,)
            Their sums, in double precision.
        """
        height, width = images.shape[-2:]
        more = self.stride - 1
        # As many rows and columns as may be needed, and then no more than are.
        padded = functional.pad((images - self.mean) / self.std, (0, more, 0, more), mode="replicate")
        rows, cols = ((size + more) // self.stride * self.stride for size in (height, width))
        density = self.network(padded[..., :rows, :cols])[:, 0, :height, :width]
        density = density.clamp(min=0) * self.output_scale
        return density, density.double().sum(dim=(1, 2))


def export_onnx(module, path):
    """Write a network as an ONNX file, and see that it counts the same.

    Parameters
    ----------
    module : DensityNetwork
        The network.
    path : str or path-like
        The file to write, whole or not at all.

    Raises
    ------
    ImportError
        If a package of the extra ``onnx`` is missing.
    ValueError
        If the network cannot be exported.
    RuntimeError
        If ONNX Runtime counts otherwise than torch. No file is written then.
    """
    path = check_target(path)
    for name in ("onnx", "onnxscript"):
        import_optional(name, "export_onnx", "onnx")
    onnxruntime = import_optional("onnxruntime", "export_onnx", "onnx")
    network = ExportedNetwork(inference_copy(deepcopy(module).cpu().float())).eval()
    content = _to_onnx(network)
    _compare(
        inference_copy(module), onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    )
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _to_onnx(network):
    """The bytes of the file."""
    # Sizes that are no multiples of anything, so that the exporter takes none of them for a rule.
    images = _noise(network, (2, 5 * network.stride + 3, 7 * network.stride + 1))
    content = io.BytesIO()
    with _quiet():
        try:
            free = torch.export.Dim.DYNAMIC
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: free, 2: free, 3: free},),
                input_names=["images"],
                output_names=["density", "counts"],
            )
        except Exception as error:
            raise ValueError(
                f"torch cannot export this network with images of any size ({type(error).__name__}, see above); expected "
                "operations that it knows, and no decision that depends on the size of an image."
            ) from error
        program.save(content)
    return content.getvalue()


def _compare(module, session):
    """Refuse a file that counts otherwise than the network does, which computes where and how precisely it always does."""
    stride, scale = module.stride, module.output_scale
    for shape in [(1, 1, 1), (1, 4 * stride, 4 * stride), (3, 9 * stride + 2, 3 * stride - 1)]:
        images = _noise(module, shape)
        with torch.inference_mode():
            expected = (
                module(images.to(scale.device, scale.dtype))
                .sum(dim=(1, 2, 3), dtype=torch.float64)
                .cpu()
                .numpy()
            )
        found = session.run(["counts"], {"images": images.numpy()})[0]
        if not np.allclose(found, expected, rtol=1e-6, atol=TOLERANCE):
            raise RuntimeError(
                f"ONNX Runtime counts {found.tolist()} objects on noise of {shape[1]} x {shape[2]} pixels and torch "
                f"{expected.tolist()}; expected the same. The file was not written; please report the versions of both."
            )


def _noise(network, shape):
    """Images like those of the training in mean and spread, and in nothing else."""
    n, height, width = shape
    noise = torch.randn(n, network.mean.shape[1], height, width, generator=torch.Generator().manual_seed(0))
    return noise * network.std.cpu().float() + network.mean.cpu().float()


@contextmanager
def _quiet():
    """Keep the exporter from talking about packages that nobody asked for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
