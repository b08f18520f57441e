"""The network and the agent, each against a reference that is not their own code."""
import copy
import pickle
import re

import numpy as np
import pytest
import torch as T

from reference import value_iteration, values, weights
from simple_dqn_torch import Agent, DeepQNetwork


def make_agent(**changes):
    """An agent for LunarLander's shapes, with some hyperparameters changed."""
    return Agent(**{**dict(gamma=0.9, epsilon=1.0, lr=2e-3, input_dims=(8,),
                           batch_size=4, n_actions=4, eps_end=0.01, max_mem_size=100,
                           seed=0), **changes})


def fill(agent, n):
    """Store n random transitions; both states of number i begin with i / 100."""
    rng = np.random.default_rng(1)
    for i in range(n):
        states = rng.normal(size=(2, 8))
        states[:, 0] = i / 100
        agent.store_transition(states[0], rng.integers(4), i, states[1], False)


def set_values(agent, values):
    """Make the network give these action values in every state."""
    for parameter in agent.Q_eval.parameters():
        T.nn.init.zeros_(parameter)
    agent.Q_eval.fc3.bias.data.copy_(T.tensor(values))


def learn(agent, n_steps):
    """Learn from what fill stored; the numbers drawn, of shape (n_steps, batch)."""
    seen = []
    agent.Q_eval.register_forward_pre_hook(
        lambda _, states: seen.append(states[0][:, 0].tolist()))
    for _ in range(n_steps):
        agent.learn()
    return np.rint(np.array(seen[::2]) * 100).astype(int)  # the others: next states


@pytest.mark.parametrize('fc1_dims, fc2_dims, n', [(256, 256, 69124), (32, 64, 2660)])
def test_network_gives_raw_values_for_one_state_and_for_a_batch(fc1_dims, fc2_dims, n):
    agent = make_agent()
    agent.Q_eval = network = DeepQNetwork(1e-3, (8,), fc1_dims, fc2_dims, 4)
    assert sum(p.numel() for p in network.parameters()) == n
    cuda = T.cuda.is_available()  # then all tests here run on it
    assert {p.device.type for p in network.parameters()} == {'cuda' if cuda else 'cpu'}
    states = np.random.default_rng(2).normal(size=(64, 8))
    batch = T.as_tensor(states, dtype=T.float32).to(network.device)
    expected = values(weights(agent), states)
    np.testing.assert_allclose(network(batch).detach().cpu(), expected, 0, 2e-6)
    np.testing.assert_allclose(network(batch[5]).detach().cpu(), expected[5], 0, 2e-6)
    assert expected.min() < 0 < expected.max()  # no activation cut them


def test_memory_is_a_ring_of_named_arrays():
    agent = make_agent(max_mem_size=5)
    for i in range(7):
        agent.store_transition([i] * 8, np.int64(i % 4), np.float32(-i),
                               np.full(8, i + 0.5), i == 5)
    assert agent.mem_cntr == 7
    kept = np.array([5, 6, 2, 3, 4])  # 0 and 1 made room
    rows = np.outer(kept, np.ones(8))
    for name, expected, dtype in (
            ('state', rows, np.float32), ('new_state', rows + 0.5, np.float32),
            ('action', kept % 4, np.int32), ('reward', -kept, np.float32),
            ('terminal', kept == 5, bool)):
        memory = getattr(agent, f'{name}_memory')
        np.testing.assert_array_equal(memory, expected)
        assert memory.dtype == dtype


TRANSITION = dict(state=np.ones(8), action=1, reward=9, state_=np.ones(8), terminal=0)
VECTOR = 'of shape input_dims=(8,) and finite'


@pytest.mark.parametrize('name, wanted, value', [
    (name, wanted, value) for name, wanted, values in [
        ('state', VECTOR, [np.zeros(7), 1.0, np.full(8, np.nan), [-np.inf] * 8]),
        ('state_', VECTOR, [np.zeros((1, 8)), np.array([0] * 7 + [np.inf])]),
        ('action', 'one of [0, 1, 2, 3]', [4, -1, 1.5, None, np.array([1])]),
        ('reward', 'finite', [float('nan'), np.inf, np.float16(-np.inf)]),
        ('terminal', 'True or False', [float('nan'), 'False', None, np.zeros(1)]),
        # In the words of Python and numpy; the first is what reset() returns.
        ('state', None, [(np.zeros(8), {})]), ('reward', None, ['?', 1j])]
    for value in values])
def test_bad_transition_is_refused_and_leaves_the_memory(name, wanted, value):
    agent = make_agent(max_mem_size=3, batch_size=2)
    fill(agent, 5)
    before = pickle.dumps(vars(agent))
    said = re.escape(f'{name} must be {wanted}, got {value!r}') if wanted else None
    errors = ValueError if wanted else (ValueError, TypeError)
    with pytest.raises(errors, match=said):
        agent.store_transition(**{**TRANSITION, name: value})
    assert pickle.dumps(vars(agent)) == before


@pytest.mark.parametrize('stored, low, high', [  # chi-square quantiles 0.001, 0.999
    (30, 10.99, 58.3), (50, 23.98, 85.35), (130, 23.98, 85.35)])
def test_batches_are_uniform_without_duplicates_or_empty_slots(stored, low, high):
    agent = make_agent(batch_size=10, max_mem_size=50)
    fill(agent, stored)
    slots = learn(agent, 400) % 50
    assert all(len(set(batch)) == 10 for batch in slots)
    n = min(stored, 50)
    counts, expected = np.bincount(slots.ravel(), minlength=n), 10 * 400 / n
    # Without replacement the counts vary less, by (n - 10) / (n - 1).
    assert low < ((counts - expected) ** 2 / expected).sum() * (n - 1) / (n - 10) < high


@pytest.mark.parametrize('epsilon', [0.0, 0.4, 1.0])
def test_best_action_comes_with_1_minus_epsilon_and_any_with_epsilon(epsilon):
    agent = make_agent(epsilon=epsilon, eps_end=0.0)
    set_values(agent, [0.0, -1.0, 2.0, 1.0])
    actions = [agent.choose_action(np.zeros(8)) for _ in range(4000)]
    assert {type(action) for action in actions} == {int}
    counts = np.bincount(actions, minlength=4)
    expected = 4000 * (epsilon / 4 + (1 - epsilon) * np.array([0, 0, 1, 0]))
    assert (counts[expected == 0] == 0).all()
    chi2 = ((counts - expected) ** 2 / np.maximum(expected, 1)).sum()
    assert chi2 < 16.27  # quantile 0.999 at 3 degrees of freedom


@pytest.mark.parametrize('convert', [list, np.float32, np.float64])
def test_greedy_action_is_the_best_one_and_builds_no_graph(convert):
    agent, seen = make_agent(epsilon=0.0, eps_end=0.0), []
    agent.Q_eval.register_forward_hook(lambda *args: seen.append(args[-1]))
    states = np.random.default_rng(3).normal(size=(50, 8))
    best = values(weights(agent), states).argmax(axis=1)
    chosen = [agent.choose_action(convert(state)) for state in states]
    assert chosen == list(best) and len(set(chosen)) > 1
    assert len(seen) == 50 and not any(output.requires_grad for output in seen)


@pytest.mark.parametrize('epsilon', [0.0, 1.0])  # before a random action, too
@pytest.mark.parametrize('observation', [
    np.zeros((5, 8)), np.zeros((1, 8)), [0] * 7, 1])
def test_observation_of_another_shape_is_named(epsilon, observation):
    agent = make_agent(epsilon=epsilon, eps_end=0.0)
    said = f'observation must be of shape input_dims=(8,), got {observation!r}'
    with pytest.raises(ValueError, match=re.escape(said)):
        agent.choose_action(observation)


def test_from_a_full_batch_on_the_weights_move_and_epsilon_falls_to_its_end():
    agent = make_agent(batch_size=4, epsilon=0.8, eps_end=0.15, eps_dec=0.2)
    before = weights(agent)
    for epsilon in (0.8, 0.8, 0.8, 0.6, 0.4, 0.2, 0.15, 0.15):
        fill(agent, 1)
        agent.learn()
        assert agent.epsilon == pytest.approx(epsilon, abs=1e-9)
        moved = [(weights(agent)[name] != w).any() for name, w in before.items()]
        assert moved == [agent.mem_cntr >= 4] * 6  # all parameters, or none


@pytest.mark.parametrize('gamma', [0, 0.9, 1])
def test_targets_by_hand(gamma):
    agent, q = make_agent(gamma=gamma, batch_size=4), np.array([1.0, 3.0, -2.0, 0.5])
    set_values(agent, q)
    for action, reward in enumerate((10, 20, -5, -100)):
        agent.store_transition(np.zeros(8), action, reward, np.ones(8), action % 2)
    agent.learn()
    # r + gamma * 3 where the game goes on, r alone where it is over
    targets = np.array([10 + 3 * gamma, 20, -5 + 3 * gamma, -100])
    # The mean of the four (q - target) ** 2 has this slope in each q.
    slope = agent.Q_eval.fc3.bias.grad.cpu()
    np.testing.assert_allclose(slope, 2 * (q - targets) / 4, 1e-6)


def test_learning_is_adam_on_the_mean_squared_error_to_a_constant_target():
    agent = make_agent(gamma=0.9, batch_size=32, max_mem_size=32)  # all in each batch
    rng = np.random.default_rng(4)
    states, new_states = rng.normal(size=(2, 32, 8)).astype(np.float32)
    actions, rewards = rng.integers(4, size=32), rng.normal(size=32) * 10
    terminals = rng.random(32) < 0.3
    for transition in zip(states, actions, rewards, new_states, terminals):
        agent.store_transition(*transition)
    agent.Q_eval.fc3.bias.data += 5  # large enough for a decay of weights to be seen
    twin, device = copy.deepcopy(agent.Q_eval), agent.Q_eval.device
    adam = T.optim.Adam(twin.parameters(), lr=agent.lr)
    # After the large gradient Adam's average of squares falls; AMSGrad's does not.
    for scale in [100] + [1] * 12:
        agent.reward_memory[:] = rewards * scale
        best = twin(T.tensor(new_states, device=device)).max(dim=1)[0].detach().cpu()
        targets = T.tensor(rewards * scale + 0.9 * best.numpy() * ~terminals)
        taken = twin(T.tensor(states, device=device)).cpu()[range(32), actions]
        adam.zero_grad()
        ((targets.float() - taken) ** 2).mean().backward()
        adam.step()
        agent.learn()
        for ours, its in zip(agent.Q_eval.parameters(), twin.parameters()):
            np.testing.assert_allclose(ours.detach().cpu(), its.detach().cpu(), 0, 1e-5)


def test_chain_converges_to_dynamic_programming():
    """Four rooms in a row, a step costs 1, the door at the right end pays 10."""
    agent = make_agent(gamma=0.9, input_dims=(5,), batch_size=5, n_actions=2)
    states = np.eye(5, dtype=np.float32)
    steps = [(i, right, 10.0 if i + right == 4 else -1.0, max(0, i + 2 * right - 1))
             for i in range(4) for right in range(2)]
    for room, action, reward, room_ in steps:
        agent.store_transition(states[room], action, reward, states[room_], room_ == 4)
    for lr in (1e-3, 1e-4):  # steps of one size alone would keep it hovering
        agent.Q_eval.optimizer.param_groups[0]['lr'] = lr
        for _ in range(1000):
            agent.learn()
    learned = agent.Q_eval(T.from_numpy(states).to(agent.Q_eval.device))
    exact = value_iteration(steps, 5, 2, 0.9)  # the last room is the terminal state
    np.testing.assert_allclose(learned.detach().cpu()[:4], exact[:4], rtol=0.01)


def test_a_seed_repeats_everything_and_another_or_none_changes_everything():
    def history(seed):
        agent = make_agent(seed=seed, epsilon=0.5)
        yield weights(agent)['fc2.weight']
        yield np.array([agent.choose_action(np.zeros(8)) for _ in range(50)])
        fill(agent, 90)
        yield learn(agent, 10)
        yield weights(agent)['fc2.weight']

    for a, same, b, c, d in zip(*map(history, (0, 0, 8, None, None))):
        assert (a == same).all() and (a != b).any() and (c != d).any()


def test_the_seed_is_that_of_the_first_weights():
    T.manual_seed(5)
    layer = T.nn.Linear(8, 256)
    assert T.equal(make_agent(seed=5).Q_eval.fc1.weight.cpu(), layer.weight)


def test_no_seed_means_other_weights_even_if_torch_goes_on_from_the_same_numbers():
    def first_weights():
        T.manual_seed(0)  # as in workers that were forked from one process
        return make_agent(seed=None).Q_eval.fc1.weight

    assert not T.equal(first_weights(), first_weights())


SIZE = 'a whole number, at least 1'


@pytest.mark.parametrize('name, wanted, value', [
    (name, wanted, value) for name, wanted, values in [
        ('gamma', 'from 0 to 1', [1.01, -0.1, float('nan')]),
        ('epsilon', 'from 0 to 1', [1.2, -0.2]),
        ('eps_end', 'from 0 to epsilon=0.5 (if epsilon is lowered, lower eps_end, too)',
         [-0.01, 0.6]),
        ('eps_dec', 'finite and >= 0', [-1e-4, float('inf')]),
        ('lr', 'finite and above 0', [0, -0.001, float('inf')]),
        ('n_actions', SIZE, [0, -1, 4.0]),
        ('max_mem_size', SIZE, [0, 1e5]),
        ('batch_size', SIZE, [0, 64.0, '64']),
        ('batch_size', 'at most max_mem_size=100', [101]),
        ('input_dims', 'a tuple of one size, such as (8,) (gym.wrappers.'
         'FlattenObservation makes most states so)', [(5, 5), (), 8]),
        ('input_dims[0]', SIZE, [0, 8.0]),
        ('seed', 'None or a whole number from 0 to 2 ** 64 - 1', [-1, 1.5, 2 ** 64])]
    for value in values])
def test_bad_argument_is_named(name, wanted, value):
    said = re.escape(f'{name} must be {wanted}, got {value!r}')
    if name == 'input_dims[0]':
        name, value = 'input_dims', (value,)
    with pytest.raises(ValueError, match=said):
        make_agent(**{'epsilon': 0.5, name: value})


def test_what_is_just_in_range_is_accepted():
    agent = make_agent(gamma=0, epsilon=1, eps_end=1, eps_dec=0, n_actions=1,
                       batch_size=np.int64(1), max_mem_size=1, input_dims=[1],
                       seed=np.uint64(2 ** 64 - 1))
    before = weights(agent)['fc3.bias']
    agent.store_transition([0.5], 0, True, [0.5], True)
    agent.learn()
    assert agent.epsilon == 1 and agent.choose_action([0.5]) == 0
    assert (weights(agent)['fc3.bias'] != before).all()
    assert make_agent(gamma=1, epsilon=0, eps_end=0, batch_size=100).epsilon == 0
