"""What the lesson's code computes, in numpy alone; w holds the weights by name."""
import numpy as np


def weights(agent):
    """Copies of all parameters, as float64 numpy arrays by name."""
    return {name: p.detach().cpu().numpy().astype(np.float64)
            for name, p in agent.Q_eval.named_parameters()}


def norm(x):
    """Layer normalisation: for each row, values of mean 0 and variance 1."""
    deviation = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=1, keepdims=True)) / deviation


def values(w, x):
    """The values of all actions, a row for each state of x."""
    x = np.maximum(norm(x @ w['fc1.weight'].T + w['fc1.bias']), 0)
    x = np.maximum(norm(x @ w['fc2.weight'].T + w['fc2.bias']), 0)
    return x @ w['fc3.weight'].T + w['fc3.bias']


def value_iteration(steps, n_states, n_actions, gamma):
    """Value iteration over steps (state, action, reward, next state)."""
    q = np.zeros((n_states, n_actions))
    for state, action, reward, state_ in steps * 100:
        q[state, action] = reward + gamma * q[state_].max()
    return q
