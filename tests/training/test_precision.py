import pytest
import torch

from skcount.training import computes_bfloat16


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({"neon": True}, False),
    ],
)
def test_a_cpu_says_so_itself(capabilities, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert computes_bfloat16("cpu") is expected


def test_a_torch_that_does_not_say_has_none(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert computes_bfloat16("cpu") is False


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_cuda_device_does_from_ampere_on(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert computes_bfloat16("cuda:1") is expected


def test_other_devices_are_not_asked():
    assert computes_bfloat16(torch.device("mps")) is False
