"""Writes `torch_<version>.npz`: modules of PyTorch, what they hold and compute.

Run it where PyTorch is installed: `python make_torch.py`. Each case has the module's
`state_dict` (`case/state/name`), an input (`case/x`) and the output in evaluation
(`case/y`).
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

torch = importlib.import_module("torch")
nn = torch.nn
arrays: dict[str, np.ndarray] = {}


def keep(case: str, module, x) -> None:
    """Moves the statistics of normalizations and the weights, then notes all."""
    module.train()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith(("weight", "bias")):
                value.add_(torch.randn(value.shape) / 8)
        module(x)
        module.eval()
        y = module(x)
    y = y[0] if isinstance(y, tuple) else y
    for name, value in module.state_dict().items():
        arrays[f"{case}/state/{name}"] = value.numpy()
    arrays[f"{case}/x"], arrays[f"{case}/y"] = x.numpy(), y.numpy()


def main() -> None:
    torch.manual_seed(0)
    draw = torch.randn
    keep("linear", nn.Linear(4, 3), draw(2, 4))
    keep("linear_no_bias", nn.Linear(4, 3, bias=False), draw(2, 4))
    keep("conv1d", nn.Conv1d(2, 3, 2, stride=2), draw(2, 2, 6))
    keep("conv2d", nn.Conv2d(2, 4, (3, 2), groups=2), draw(2, 2, 5, 4))
    keep("conv3d", nn.Conv3d(2, 3, (1, 2, 2)), draw(2, 2, 2, 3, 4))
    keep("conv1d_transpose", nn.ConvTranspose1d(2, 3, 2, stride=2), draw(2, 2, 4))
    keep("conv2d_transpose", nn.ConvTranspose2d(2, 3, 2, stride=2), draw(2, 2, 3, 4))
    keep("conv3d_transpose", nn.ConvTranspose3d(2, 3, 2), draw(1, 2, 2, 2, 3))
    keep("batchnorm1d", nn.BatchNorm1d(3), 2 * draw(6, 3) + 1)
    keep("batchnorm2d", nn.BatchNorm2d(3), 2 * draw(4, 3, 2, 2) + 1)
    keep("batchnorm_plain", nn.BatchNorm1d(3, affine=False), draw(6, 3))
    keep("layernorm", nn.LayerNorm(5), draw(2, 3, 5))
    keep("embedding", nn.Embedding(6, 3), torch.randint(0, 6, (2, 4)))
    for bias in (True, False):
        suffix = "" if bias else "_no_bias"
        options = {"batch_first": True, "bias": bias}
        keep(f"lstm{suffix}", nn.LSTM(3, 4, **options), draw(2, 5, 3))
        keep(f"gru{suffix}", nn.GRU(3, 4, **options), draw(2, 5, 3))
        keep(f"rnn{suffix}", nn.RNN(3, 4, **options), draw(2, 5, 3))
    relu = nn.RNN(3, 4, batch_first=True, nonlinearity="relu")
    keep("rnn_relu", relu, draw(2, 5, 3))
    two = {"num_layers": 2, "batch_first": True}
    keep("lstm_two_layers", nn.LSTM(3, 4, **two), draw(2, 5, 3))
    keep("lstm_both_ways", nn.LSTM(3, 4, bidirectional=True, **two), draw(2, 5, 3))
    keep("gru_both_ways", nn.GRU(3, 4, bidirectional=True, **two), draw(2, 5, 3))
    convnet = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.BatchNorm1d(36),
        nn.Linear(36, 4),
        nn.LayerNorm(4),
        nn.Linear(4, 2),
    )
    keep("convnet", convnet, draw(5, 1, 6, 5))
    target = Path(__file__).parent / f"torch_{torch.__version__.split('+')[0]}.npz"
    np.savez_compressed(target, version=np.array(torch.__version__), **arrays)


main()
