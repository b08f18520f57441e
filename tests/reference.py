"""What the lesson's code computes, in numpy alone; w holds the weights by name."""
import numpy as np


def weights(agent):
    """Copies of all parameters, as float64 numpy arrays by name."""
    return {name: p.detach().cpu().numpy().astype(np.float64)
            for name, p in agent.Q_eval.named_parameters()}


def norm(x):
    """Layer normalisation: values of mean 0 and variance 1, and what divided them."""
    deviation = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=1, keepdims=True)) / deviation, deviation


def values(w, x):
    """The network in numpy: the values, and what the gradient needs."""
    n1, s1 = norm(x @ w['fc1.weight'].T + w['fc1.bias'])
    n2, s2 = norm(np.maximum(n1, 0) @ w['fc2.weight'].T + w['fc2.bias'])
    return np.maximum(n2, 0) @ w['fc3.weight'].T + w['fc3.bias'], (n1, s1, n2, s2)


def gradients(w, x, actions, targets):
    """Gradients of the mean squared error to constant targets, by the chain rule."""
    def through_norm(d, n, s):
        d = d * (n > 0)
        return (d - d.mean(1, keepdims=True) - n * (d * n).mean(1, keepdims=True)) / s

    out, (n1, s1, n2, s2) = values(w, x)
    rows = np.arange(len(x))
    d3 = np.zeros_like(out)
    d3[rows, actions] = 2 * (out[rows, actions] - targets) / len(x)
    d2 = through_norm(d3 @ w['fc3.weight'], n2, s2)
    d1 = through_norm(d2 @ w['fc2.weight'], n1, s1)
    return {'fc1.weight': d1.T @ x, 'fc1.bias': d1.sum(0),
            'fc2.weight': d2.T @ np.maximum(n1, 0), 'fc2.bias': d2.sum(0),
            'fc3.weight': d3.T @ np.maximum(n2, 0), 'fc3.bias': d3.sum(0)}


def adam_moves(lr):
    """Adam, algorithm 1 of Kingma and Ba 2015: is sent gradients, yields the moves."""
    mean = square = None
    moves, step = None, 0
    while True:
        g, step = (yield moves), step + 1
        mean = {name: 0.1 * g[name] + (0.9 * mean[name] if mean else 0) for name in g}
        square = {name: 0.001 * g[name] ** 2 + (0.999 * square[name] if square else 0)
                  for name in g}
        moves = {name: lr * (mean[name] / (1 - 0.9 ** step))
                 / (np.sqrt(square[name] / (1 - 0.999 ** step)) + 1e-8) for name in g}


def value_iteration(steps, n_states, n_actions, gamma):
    """Value iteration over steps (state, action, reward, next state)."""
    q = np.zeros((n_states, n_actions))
    for state, action, reward, state_ in steps * 100:
        q[state, action] = reward + gamma * q[state_].max()
    return q
