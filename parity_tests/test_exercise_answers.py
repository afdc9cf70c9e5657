"""Answers as a learner writes them, not as the library does: they pass as well."""

from __future__ import annotations

import pytest

from minikeras.teach.exercises import exercises
from minikeras.teach.exercises.checking import check_names
from minikeras.teach.exercises.loading import Names, load_text
from minikeras.teach.exercises.source import YOUR_TURN, render

HELPER = "pass  # not used"

# name -> what goes into its gaps, in order
ANSWERS = {
    "dense_forward": [
        """\
z = x @ kernel
if self.bias is not None:
    z = z + self.bias.value
y, kept = self.activation.forward(z)
return y, DenseResiduals(x, kept)"""
    ],
    "dense_backward": [
        """\
dz = self.activation.backward(dy, residuals.activation)
x, dz_rows = rows(residuals.x), rows(dz)
grads.add(self.kernel, x.T @ dz_rows)
grads.add(self.bias, dz_rows.sum(axis=0))
return (dz_rows @ self.kernel.value.T).reshape(residuals.x.shape)"""
    ],
    "sigmoid_backward": ["return dy * y * (1 - y)"],
    "tanh_backward": ["return dy * (1 - y * y)"],
    "relu_backward": ["return dy * (residuals.y > 0)"],
    "mean_squared_error_backward": [
        "return dvalues[..., None] * (2 / error.shape[-1]) * error"
    ],
    "binary_crossentropy_backward": [
        "slope = 1 / (1 + np.exp(-y_pred)) - y_true",
        "slope = np.where(inside, (1 - y_true) / q - y_true / p, 0)",
        "return dvalues[..., None] / slope.shape[-1] * slope",
    ],
    "softmax_backward": ["return y * (dy - (dy * y).sum(axis=axis, keepdims=True))"],
    "softmax_crossentropy_backward": ["return dvalues * (p - y_true)"],
    "sgd_step": [
        """\
if velocity is None:
    value -= rate * gradient
    return
velocity *= momentum
velocity -= rate * gradient
value += momentum * velocity - rate * gradient if nesterov else velocity"""
    ],
    "adam_step": [
        """\
momentum += (1 - beta_1) * (gradient - momentum)
velocity += (1 - beta_2) * (gradient * gradient - velocity)
v = velocity
if velocity_hat is not None:
    velocity_hat[...] = np.maximum(velocity_hat, velocity)
    v = velocity_hat
value -= rate * momentum / (np.sqrt(v) + epsilon)""",
        "return rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)",
    ],
    "flatten_backward": [
        """\
dx = dy.reshape(residuals.shape)
return np.moveaxis(dx, -1, 1) if self._moves_channels else dx"""
    ],
    "dropout": [
        "return dy if residuals is None else _apply(dy, residuals)",
        "return np.where(residuals.keep, x * residuals.scale, 0)",
    ],
    "average_pooling_backward": [
        """\
share = dy / window_counts(x_shape[1:-1], g, dy.dtype)
dxp = np.zeros(padded_shape(x_shape, g.pads), dy.dtype)
for tap in g.taps():
    at_tap(dxp, tap, g)[...] += share
return unpad(dxp, g.pads)"""
    ],
    "max_pooling_backward": [
        """\
dxp = np.zeros(padded_shape(x_shape, g.pads), dy.dtype)
for number, tap in enumerate(g.taps()):
    at_tap(dxp, tap, g)[...] += dy * (winner == number)
return unpad(dxp, g.pads)"""
    ],
    "conv2d_forward": [
        """\
xp = pad(x, g.pads)
y = np.zeros((len(x), *g.out, kernel.shape[-1]), x.dtype)
for out, tap, seen in visits(g):
    y[:, *out, :] += xp[:, *seen, :] @ kernel[*tap]
return y"""
    ],
    "conv2d_backward": [
        """\
xp = pad(x, g.pads)
dxp, dkernel = np.zeros_like(xp), np.zeros_like(kernel)
for out, tap, seen in visits(g):
    dy_out = dy[:, *out, :]
    dxp[:, *seen, :] += dy_out @ kernel[*tap].T
    dkernel[*tap] += xp[:, *seen, :].T @ dy_out
return unpad(dxp, g.pads), dkernel"""
    ],
    "batch_normalization_forward": [
        """\
count = x.shape[0] * x.shape[2]
mean = channel_sum(x) / count
variance = channel_sum((x - mean[:, None]) ** 2) / count
return Moments(mean, variance, count)""",
        """\
inverse_stddev = 1 / np.sqrt(variance + epsilon)
y = (x - mean[:, None]) * inverse_stddev[:, None]
if gamma is not None:
    y = y * gamma[:, None]
if beta is not None:
    y = y + beta[:, None]
return y, BatchNormResiduals(x, mean, inverse_stddev, gamma, mask, count)""",
    ],
    "batch_normalization_backward": [
        """\
c = x - mean[:, None]
dbeta = channel_sum(dy)
dgamma = channel_sum(dy * c) * inverse_stddev
scale = inverse_stddev if gamma is None else inverse_stddev * gamma
dvariance = -0.5 * scale * inverse_stddev * dgamma
dmean = -scale * dbeta
dx = dy * scale[:, None] + c * (2 * dvariance / count)[:, None]
return dx + (dmean / count)[:, None], dgamma, dbeta"""
    ],
    "layer_normalization_backward": [
        """\
n = normalized
others = tuple(a for a in range(dy.ndim) if a not in axes)
dgamma = (dy * n).sum(axis=others, keepdims=True)
dbeta = dy.sum(axis=others, keepdims=True)
dn = dy if gamma is None else dy * gamma
dx = dn - dn.mean(axis=axes, keepdims=True)
dx = dx - n * (dn * n).mean(axis=axes, keepdims=True)
return inverse_stddev * dx, dgamma, dbeta"""
    ],
    "embedding_backward": [
        """\
dtable = np.zeros((rows, dy.shape[-1]), dy.dtype)
for row, gradient in zip(ids.ravel(), dy.reshape(ids.size, -1)):
    dtable[row] += gradient
return dtable"""
    ],
    "simple_rnn_step_backward": [
        """\
dz = dh * (1 - y * y)
return dz, dz @ recurrent_kernel.T"""
    ],
    "lstm_step_forward": [
        """\
i, f, g, o = (z[:, block] for block in column_blocks(z.shape[-1], 4))
i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
c = f * c_prev + i * g
a = np.tanh(c)
gates = np.concatenate([i, f, g, o], axis=-1)
return (o * a, c), LSTMGates(gates, c_prev, a)""",
        HELPER,
    ],
    "lstm_step_backward": [
        """\
i, f, g, o = np.split(gates, 4, axis=-1)
dc = dc + dh * o * (1 - a * a)
di, df, dg, do = dc * g, dc * c_prev, dc * i, dh * a
slopes = [di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)]
return np.concatenate(slopes, axis=-1), dc * f"""
    ],
    "lstm_through_time": [
        """\
dz = np.empty_like(gates)
for t in reversed(range(len(gates))):
    dh = dh + dh_steps[t]
    dh_past = dc_past = 0
    if mask is not None:
        dh_past, dc_past = np.where(mask[t], 0, dh), np.where(mask[t], 0, dc)
        dh, dc = np.where(mask[t], dh, 0), np.where(mask[t], dc, 0)
    kept = LSTMGates(gates[t], c[t], a[t], inner[t])
    dz[t], dc = lstm_gates_grad(dh, dc, kept, activations)
    dh, dc = dz[t] @ recurrent_kernel.T + dh_past, dc + dc_past
return dz, dh, dc"""
    ],
    "gru_step_forward": [
        """\
units = h_prev.shape[-1]
x_z, x_r, x_g = np.split(z + weights.bias, 3, axis=-1)
R_z, R_r, R_g = np.split(weights.recurrent_kernel, 3, axis=-1)
update, reset = logistic(x_z + h_prev @ R_z), logistic(x_r + h_prev @ R_r)
if weights.reset_after:
    inner = h_prev @ R_g + weights.inner_bias
    g = np.tanh(x_g + reset * inner)
else:
    inner = reset * h_prev
    g = np.tanh(x_g + inner @ R_g)
gates = np.concatenate([update, reset, g], axis=-1)
return update * h_prev + (1 - update) * g, GRUStep(gates, h_prev, inner)""",
        HELPER,
    ],
    "gru_step_backward": [
        """\
z, r, g = np.split(gates, 3, axis=-1)
R_z, R_r, R_g = np.split(weights.recurrent_kernel, 3, axis=-1)
dz, dg, dh_prev = dh * (h_prev - g), dh * (1 - z), dh * z
da_g = dg * (1 - g * g)
if weights.reset_after:
    dr, d_inner = da_g * inner, da_g * r
    dh_prev = dh_prev + d_inner @ R_g.T
else:
    d_inner = da_g @ R_g.T
    dr = d_inner * h_prev
    dh_prev = dh_prev + d_inner * r
da_z, da_r = dz * z * (1 - z), dr * r * (1 - r)
dh_prev = dh_prev + da_z @ R_z.T + da_r @ R_r.T
d_input = np.concatenate([da_z, da_r, da_g], axis=-1)
d_recurrent = np.concatenate([da_z, da_r, d_inner], axis=-1)
return d_input, d_recurrent if weights.reset_after else d_input, dh_prev""",
        HELPER,
    ],
    "attention_backward": [
        """\
dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
return dscores if mask is None else np.where(mask, dscores, 0)""",
        "return dscores @ key, dscores.swapaxes(-1, -2) @ query",
        "return dy @ value.swapaxes(-1, -2), weights.swapaxes(-1, -2) @ dy",
    ],
}


def filled(name):
    """The file that `start` writes, with the answers in its gaps."""
    first, *parts = render(exercises()[name]).split(YOUR_TURN)
    assert len(parts) == len(ANSWERS[name])
    text = first
    for code, part in zip(ANSWERS[name], parts, strict=True):
        indent = text[text.rindex("\n") + 1 :]
        text += code.replace("\n", f"\n{indent}") + part
    return text


def test_there_is_an_answer_for_each():
    assert list(ANSWERS) == list(exercises())


@pytest.mark.parametrize("name", ANSWERS)
def test_a_learners_own_way_is_right(name):
    ns = Names(load_text(filled(name), name), "it")
    report = check_names(exercises()[name], ns)
    assert report.ok, (report.trouble, report.arrays)
