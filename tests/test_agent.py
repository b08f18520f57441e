"""The network and the agent, each against a reference that is not their own code."""
import numpy as np
import pytest
import torch as T

from simple_dqn_torch import Agent, DeepQNetwork


def make_agent(**changes):
    """An agent for LunarLander's shapes, with some hyperparameters changed."""
    return Agent(**{**dict(gamma=0.9, epsilon=1.0, lr=1e-3, input_dims=(8,),
                           batch_size=4, n_actions=4, max_mem_size=100, seed=0),
                    **changes})


def fill(agent, n, terminal=False, seed=1):
    """Store n random transitions whose rewards are 0, 1, 2, ... n - 1."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        agent.store_transition(rng.normal(size=8), rng.integers(4), i,
                               rng.normal(size=8), terminal)


def set_values(agent, values):
    """Make the network give these action values in every state."""
    with T.no_grad():
        for parameter in agent.Q_eval.parameters():
            parameter.zero_()
        agent.Q_eval.fc3.bias.copy_(T.tensor(values))


def watch_loss(agent):
    """A list that receives (q_target, q_eval) of every coming step of learning."""
    seen = []

    class Loss(T.nn.MSELoss):
        def forward(self, q_target, q_eval):
            seen.append((q_target, q_eval))
            return super().forward(q_target, q_eval)

    agent.Q_eval.loss = Loss()
    return seen


def weights(agent):
    """Copies of all parameters, as float64 numpy arrays by name."""
    return {name: p.detach().cpu().numpy().astype(np.float64)
            for name, p in agent.Q_eval.named_parameters()}


def numpy_forward(w, x):
    """The network in numpy: inputs of the three layers, and the values."""
    h1 = np.maximum(x @ w['fc1.weight'].T + w['fc1.bias'], 0)
    h2 = np.maximum(h1 @ w['fc2.weight'].T + w['fc2.bias'], 0)
    return (x, h1, h2), h2 @ w['fc3.weight'].T + w['fc3.bias']


def numpy_gradients(w, states, actions, targets):
    """Gradients of the mean squared error to constant targets, by the chain rule."""
    (x, h1, h2), values = numpy_forward(w, states)
    rows = np.arange(len(states))
    d3 = np.zeros_like(values)
    d3[rows, actions] = 2 * (values[rows, actions] - targets) / len(states)
    d2 = d3 @ w['fc3.weight'] * (h2 > 0)
    d1 = d2 @ w['fc2.weight'] * (h1 > 0)
    return {'fc1.weight': d1.T @ x, 'fc1.bias': d1.sum(0),
            'fc2.weight': d2.T @ h1, 'fc2.bias': d2.sum(0),
            'fc3.weight': d3.T @ h2, 'fc3.bias': d3.sum(0)}


# The network

def test_network_of_lunar_lander_has_69124_parameters():
    network = DeepQNetwork(1e-3, (8,), 256, 256, 4)
    assert sum(p.numel() for p in network.parameters()) == 69124
    assert [tuple(layer.weight.shape) for layer in
            (network.fc1, network.fc2, network.fc3)] == [(256, 8), (256, 256), (4, 256)]
    assert all(p.device.type == network.device.type for p in network.parameters())
    optimized = network.optimizer.param_groups[0]['params']
    assert {id(p) for p in optimized} == {id(p) for p in network.parameters()}


def test_network_gives_raw_values_for_one_state_and_for_a_batch():
    agent = make_agent()
    states = np.random.default_rng(2).normal(size=(64, 8))
    batch = T.as_tensor(states, dtype=T.float32).to(agent.Q_eval.device)
    _, expected = numpy_forward(weights(agent), states)
    values = agent.Q_eval(batch).detach().cpu().numpy()
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert values.min() < 0 < values.max()  # no activation cut them
    one = agent.Q_eval(batch[5])
    assert one.shape == (4,)
    np.testing.assert_allclose(one.detach().cpu().numpy(), expected[5], atol=1e-6)


# The memory

def test_memory_has_a_named_array_of_its_type_for_each_part():
    agent = make_agent()
    assert agent.state_memory.shape == agent.new_state_memory.shape == (100, 8)
    assert agent.state_memory.dtype == agent.new_state_memory.dtype == np.float32
    assert agent.reward_memory.dtype == np.float32
    assert agent.action_memory.dtype == np.int32
    assert agent.terminal_memory.dtype == bool


def test_memory_is_a_ring():
    agent = make_agent(max_mem_size=5)
    for i in range(7):
        agent.store_transition(np.full(8, i), i % 4, -i, np.full(8, i + 0.5), i == 5)
    assert agent.mem_cntr == 7
    kept = np.array([5, 6, 2, 3, 4])  # 0 and 1 made room
    np.testing.assert_array_equal(agent.state_memory, np.outer(kept, np.ones(8)))
    np.testing.assert_array_equal(agent.new_state_memory - 0.5, agent.state_memory)
    np.testing.assert_array_equal(agent.action_memory, kept % 4)
    np.testing.assert_array_equal(agent.reward_memory, -kept)
    np.testing.assert_array_equal(agent.terminal_memory, kept == 5)


VECTOR = 'finite numbers of shape input_dims=(8,)'


@pytest.mark.parametrize('name, value, wanted', [
    ('state', np.zeros(7), VECTOR),
    ('state', 1.0, VECTOR),
    ('state', (np.zeros(8), {}), VECTOR),  # what gymnasium's reset returns
    ('state', ['1'] * 8, VECTOR),
    ('state', [None] * 8, VECTOR),
    ('state', np.full(8, np.nan), VECTOR),
    ('state', [-np.inf, *np.zeros(7)], VECTOR),
    ('state_', np.zeros((1, 8)), VECTOR),
    ('state_', np.eye(8)[0] * 1e39, VECTOR),  # infinite as a float32
    ('action', 4, 'one of [0, 1, 2, 3]'),
    ('action', -1, 'one of [0, 1, 2, 3]'),
    ('action', 1.5, 'one of [0, 1, 2, 3]'),
    ('action', np.array([1]), 'one of [0, 1, 2, 3]'),
    ('action', True, 'one of [0, 1, 2, 3]'),
    ('reward', float('nan'), 'a finite number'),
    ('reward', float('inf'), 'a finite number'),
    ('reward', -1e39, 'a finite number'),
    ('reward', np.array([1.0]), 'a finite number'),
    ('reward', None, 'a finite number'),
    ('reward', '3', 'a finite number'),
    ('reward', 1j, 'a finite number'),
    ('reward', 10 ** 400, 'a finite number'),
])
def test_bad_transition_is_refused_and_leaves_the_memory(name, value, wanted):
    agent = make_agent(max_mem_size=3, batch_size=2)
    fill(agent, 5)
    before = {key: np.copy(memory) for key, memory in vars(agent).items()
              if key.endswith('memory') or key == 'mem_cntr'}
    assert len(before) == 6
    transition = dict(state=np.ones(8), action=1, reward=9.0, state_=np.ones(8),
                      terminal=True)
    with pytest.raises(ValueError) as error:
        agent.store_transition(**{**transition, name: value})
    assert str(error.value) == f'{name} must be {wanted}, got {value!r}'
    for key, memory in before.items():
        np.testing.assert_array_equal(getattr(agent, key), memory)


@pytest.mark.parametrize('name, value', [
    ('state', [1, 2, 3, 4, 5, 6, 7, 8]), ('state_', np.full(8, -3e38)),
    ('reward', np.float32(3e38)), ('reward', -2), ('action', np.int64(3)),
    ('action', 0)])
def test_transition_at_the_ends_of_every_range_is_stored(name, value):
    agent = make_agent(max_mem_size=1, batch_size=1)
    transition = dict(state=np.ones(8), action=1, reward=9.0, state_=np.ones(8),
                      terminal=True)
    agent.store_transition(**{**transition, name: value})
    memory = dict(state=agent.state_memory, state_=agent.new_state_memory,
                  reward=agent.reward_memory, action=agent.action_memory)[name]
    np.testing.assert_array_equal(memory[0], np.asarray(value, dtype=memory.dtype))


def drawn_slots(agent, n_batches):
    """Slots of n_batches batches: where all is terminal, a target is its reward."""
    seen = watch_loss(agent)
    for _ in range(n_batches):
        agent.learn()
    return np.array([q_target.cpu().numpy() for q_target, _ in seen]).astype(int)


@pytest.mark.parametrize('stored, batch_size, max_mem_size', [
    (64, 64, 1000), (65, 64, 1000), (300, 100, 300), (20000, 64, 30000),
    (12000, 600, 12000)])
def test_batches_hold_no_duplicates_and_no_empty_slots(stored, batch_size,
                                                       max_mem_size):
    agent = make_agent(batch_size=batch_size, max_mem_size=max_mem_size)
    agent.mem_cntr = stored
    agent.reward_memory[:] = np.arange(max_mem_size)
    agent.terminal_memory[:] = True
    slots = drawn_slots(agent, 20)
    assert slots.shape == (20, batch_size)
    assert all(len(set(batch)) == batch_size for batch in slots)
    assert 0 <= slots.min() and slots.max() < stored


@pytest.mark.parametrize('stored', [50, 130])
@pytest.mark.parametrize('seed', [0, 1])
def test_batches_are_uniform_over_what_is_stored(stored, seed):
    n, batch_size, n_batches = 50, 10, 1000
    agent = make_agent(batch_size=batch_size, max_mem_size=n, seed=seed)
    fill(agent, stored, terminal=True)
    slots = drawn_slots(agent, n_batches) % n
    counts = np.bincount(slots.ravel(), minlength=n)
    expected = batch_size * n_batches / n
    # Without replacement the counts vary less, by (n - batch_size) / (n - 1).
    chi2 = ((counts - expected) ** 2 / expected).sum() * (n - 1) / (n - batch_size)
    assert 23.98 < chi2 < 85.35  # quantiles 0.001 and 0.999 at 49 degrees of freedom


# Choosing actions

@pytest.mark.parametrize('epsilon', [0.0, 0.4, 1.0])
def test_best_action_comes_with_1_minus_epsilon_and_any_with_epsilon(epsilon):
    agent = make_agent(epsilon=epsilon, eps_end=0.0)
    set_values(agent, [0.0, -1.0, 2.0, 1.0])
    n = 4000
    actions = [agent.choose_action(np.zeros(8)) for _ in range(n)]
    assert all(type(action) is int for action in actions)
    counts = np.bincount(actions, minlength=4)
    expected = n * (epsilon / 4 + (1 - epsilon) * np.array([0, 0, 1, 0]))
    if epsilon == 0:
        np.testing.assert_array_equal(counts, expected)
    else:
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert chi2 < 16.27  # quantile 0.999 at 3 degrees of freedom


@pytest.mark.parametrize('convert', [list, np.float32, np.float64])
def test_greedy_action_is_the_best_one_for_any_kind_of_observation(convert):
    agent = make_agent(epsilon=0.0, eps_end=0.0)
    states = np.random.default_rng(3).normal(size=(50, 8))
    _, values = numpy_forward(weights(agent), states)
    chosen = [agent.choose_action(convert(state)) for state in states]
    assert chosen == list(values.argmax(axis=1))
    assert len(set(chosen)) > 1


def test_choosing_builds_no_graph(monkeypatch):
    agent = make_agent(epsilon=0.0, eps_end=0.0)
    forward, seen = agent.Q_eval.forward, []

    def watched(state):
        seen.append(forward(state))
        return seen[-1]

    monkeypatch.setattr(agent.Q_eval, 'forward', watched)
    agent.choose_action(np.ones(8))
    assert [values.requires_grad for values in seen] == [False]


# Learning

def test_nothing_is_learned_before_a_batch_is_stored():
    agent = make_agent(batch_size=4)
    before = weights(agent)
    for _ in range(3):
        fill(agent, 1)
        agent.learn()
    assert agent.epsilon == 1.0
    assert all((weights(agent)[name] == w).all() for name, w in before.items())
    fill(agent, 1)
    agent.learn()
    assert agent.epsilon == 1.0 - 5e-4
    assert any((weights(agent)[name] != w).any() for name, w in before.items())


def test_epsilon_falls_by_its_decrement_to_exactly_its_end():
    agent = make_agent(epsilon=0.8, eps_end=0.15, eps_dec=0.2)
    fill(agent, 4)
    course = []
    for _ in range(6):
        agent.learn()
        course.append(agent.epsilon)
    np.testing.assert_allclose(course[:3], [0.6, 0.4, 0.2])
    assert course[3:] == [0.15, 0.15, 0.15]


@pytest.mark.parametrize('lr_decay', [1, 0.99])
def test_learning_rate_falls_by_its_factor_with_each_step_learned(lr_decay):
    agent = make_agent(lr=0.01, lr_decay=lr_decay)
    group, = agent.Q_eval.optimizer.param_groups
    agent.learn()  # nothing is stored, so nothing is learned
    assert group['lr'] == 0.01
    fill(agent, 4)
    for step in range(1, 6):
        agent.learn()
        assert group['lr'] == pytest.approx(0.01 * lr_decay ** step, rel=1e-12)


def test_targets_by_hand():
    agent = make_agent(gamma=0.9, batch_size=4)
    set_values(agent, [1.0, 3.0, -2.0, 0.5])
    for action, (reward, terminal) in enumerate([(10, False), (20, True),
                                                 (-5, False), (-100, True)]):
        agent.store_transition(np.zeros(8), action, reward, np.ones(8), terminal)
    seen = watch_loss(agent)
    agent.learn()
    (q_target, q_eval), = seen
    pairs = sorted(zip(q_target.tolist(), q_eval.tolist()))
    # r + 0.9 * 3 where the game goes on, r alone where it is over
    expected = [(-100, 0.5), (-5 + 2.7, -2.0), (10 + 2.7, 1.0), (20, 3.0)]
    np.testing.assert_allclose(pairs, expected, rtol=1e-6)


def test_two_steps_against_numpy():
    agent = make_agent(gamma=0.9, lr=1e-3, lr_decay=0.5, batch_size=32, max_mem_size=32)
    rng = np.random.default_rng(4)
    states = rng.normal(size=(32, 8)).astype(np.float32)
    new_states = rng.normal(size=(32, 8)).astype(np.float32)
    actions, rewards = rng.integers(4, size=32), rng.normal(size=32) * 10
    terminals = rng.random(32) < 0.3
    for transition in zip(states, actions, rewards, new_states, terminals):
        agent.store_transition(*transition)

    mean = {name: 0.0 for name in weights(agent)}
    square = dict(mean)
    for step in (1, 2):
        w = weights(agent)
        _, next_values = numpy_forward(w, new_states.astype(np.float64))
        targets = rewards + 0.9 * next_values.max(axis=1) * ~terminals
        expected = numpy_gradients(w, states.astype(np.float64), actions, targets)
        agent.learn()
        after = weights(agent)
        for name, parameter in agent.Q_eval.named_parameters():
            g = expected[name]
            np.testing.assert_allclose(parameter.grad.cpu(), g, rtol=1e-4, atol=1e-5)
            # Adam, algorithm 1 of Kingma and Ba 2015, with eps and weight decay 1e-4
            g = g + 1e-4 * w[name]
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.999 * square[name] + 0.001 * g ** 2
            move = 1e-3 * 0.5 ** (step - 1) * (mean[name] / (1 - 0.9 ** step)) / (
                np.sqrt(square[name] / (1 - 0.999 ** step)) + 1e-4)
            np.testing.assert_allclose(w[name] - after[name], move, atol=5e-6)


def test_target_takes_no_gradient():
    agent = make_agent(gamma=0.9, batch_size=1, max_mem_size=1)
    state, new_state = np.ones(8), -np.ones(8)
    agent.store_transition(state, 2, 1.0, new_state, False)
    w = weights(agent)
    _, next_values = numpy_forward(w, new_state[None])
    best = next_values.argmax(axis=1)
    target = 1.0 + 0.9 * next_values.max(axis=1)
    constant = numpy_gradients(w, state[None], [2], target)
    # What would come on top if the target were not a constant: -0.9 dQ(s')/dw.
    _, value = numpy_forward(w, state[None])
    shift = next_values[0, best] + 0.9 * (value[0, 2] - target)
    through_target = numpy_gradients(w, new_state[None], best, shift)
    seen = watch_loss(agent)

    agent.learn()

    assert not seen[0][0].requires_grad and seen[0][1].requires_grad
    for name, parameter in agent.Q_eval.named_parameters():
        gradient = parameter.grad.cpu().numpy()
        np.testing.assert_allclose(gradient, constant[name], rtol=1e-4, atol=1e-6)
        assert np.abs(through_target[name]).max() > 1e-3  # it would have shown


def test_chain_converges_to_dynamic_programming():
    """Four rooms in a row, a step costs 1, the door at the right end pays 10."""
    n, gamma = 4, 0.9

    def step(room, action):
        room_ = max(0, room - 1) if action == 0 else room + 1
        return (10.0, room_, True) if room_ == n else (-1.0, room_, False)

    exact = np.zeros((n + 1, 2))  # value iteration; the last row is the terminal state
    for _ in range(100):
        for room in range(n):
            for action in range(2):
                reward, room_, _ = step(room, action)
                exact[room, action] = reward + gamma * exact[room_].max()

    agent = Agent(gamma=gamma, epsilon=1.0, lr=1e-3, input_dims=(n + 1,), batch_size=5,
                  n_actions=2, max_mem_size=100, seed=0)
    states = np.eye(n + 1, dtype=np.float32)
    for room in range(n):
        for action in range(2):
            reward, room_, terminal = step(room, action)
            agent.store_transition(states[room], action, reward, states[room_],
                                   terminal)
    for lr in (1e-3, 1e-4):  # steps of one size alone would keep it hovering
        agent.Q_eval.optimizer.param_groups[0]['lr'] = lr
        for _ in range(1000):
            agent.learn()
    with T.no_grad():
        learned = agent.Q_eval(T.from_numpy(states).to(agent.Q_eval.device)).cpu()
    np.testing.assert_allclose(learned[:n], exact[:n], rtol=0.01)


def history(seed):
    """First weights, chosen actions, drawn batches and last weights of an agent."""
    agent = make_agent(seed=seed, epsilon=0.5)
    first = weights(agent)['fc2.weight']
    actions = [agent.choose_action(np.zeros(8)) for _ in range(50)]
    fill(agent, 90, terminal=True)
    return (first, np.array(actions), drawn_slots(agent, 10),
            weights(agent)['fc2.weight'])


def test_a_seed_repeats_everything_and_another_changes_everything():
    once, again, other = history(7), history(7), history(8)
    for a, b, c in zip(once, again, other):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_without_a_seed_agents_differ():
    once, again = history(None), history(None)
    assert all((a != b).any() for a, b in zip(once, again))


# Arguments

def test_defaults_are_those_of_the_video():
    agent = Agent(0.99, 1.0, 1e-3, (8,), 64, 4)
    assert (agent.mem_size, agent.eps_min, agent.eps_dec) == (100000, 0.01, 5e-4)
    assert agent.Q_eval.scheduler.gamma == 1  # a constant learning rate


UNIT = 'a number from 0 to 1'
SIZE = 'a whole number of at least 1'
BATCH = 'a whole number from 1 to max_mem_size=100'
SHAPE = 'one size, such as (8,): a state is a vector, not a number or an image'
SEED = 'None or a whole number from 0 to 2**64 - 1'
BAD = {
    'gamma': (UNIT, [1.01, -0.1, float('nan'), '0.9', None, True]),
    'epsilon': (UNIT, [1.2, -0.2, '1', [0.5]]),
    'eps_end': ('a number from 0 to epsilon=0.5', [-0.01, 0.6, '0.01']),
    'eps_dec': ('a finite number of at least 0', [-1e-4, float('inf'), None]),
    'lr_decay': ('a number above 0, at most 1', [0, -0.5, 1.01, None, '0.9', True]),
    'lr': ('a finite number above 0', [0, -0.001, None, '1e-3', float('inf')]),
    'n_actions': (SIZE, [0, 2.0, '4', None, True]),
    'max_mem_size': (SIZE, [0, 1e5, None]),
    'batch_size': (BATCH, [0, 101, 4.0, True, '64']),
    'input_dims': (SHAPE, [(84, 84, 4), (), 8, (0,), (8.0,), ([1], [2, 3]), (True,),
                           None]),
    'seed': (SEED, [-1, 1.5, '0', 2 ** 64, True]),
}


@pytest.mark.parametrize('name, value, wanted', [
    (name, value, wanted) for name, (wanted, values) in BAD.items()
    for value in values])
def test_bad_argument_is_named(name, value, wanted):
    with pytest.raises(ValueError) as error:
        make_agent(**{'epsilon': 0.5, name: value})
    assert str(error.value) == f'{name} must be {wanted}, got {value!r}'


@pytest.mark.parametrize('change', [
    dict(gamma=0), dict(gamma=1), dict(epsilon=0.0, eps_end=0.0),
    dict(epsilon=1.0, eps_end=1.0), dict(batch_size=1), dict(batch_size=100),
    dict(n_actions=np.int64(4)), dict(input_dims=[8]), dict(eps_dec=0),
    dict(lr=np.float32(0.5)), dict(lr_decay=1), dict(lr_decay=0.5),
    dict(seed=2 ** 64 - 1), dict(seed=np.int64(3)),
    dict(max_mem_size=4)])
def test_argument_at_the_ends_of_every_range_works(change):
    agent = make_agent(**change)
    fill(agent, 100)
    agent.learn()
    assert 0 <= agent.choose_action(np.zeros(8)) < 4


def test_making_an_agent_leaves_denormal_numbers_alone():
    T.set_flush_denormal(False)
    make_agent()
    assert np.float32(1e-40) * np.float32(1) > 0 and T.tensor(1e-40) * 1 > 0


@pytest.mark.skipif(not T.cuda.is_available(), reason='needs a CUDA card')
def test_a_step_on_cuda():
    agent = make_agent(epsilon=0.0, eps_end=0.0)
    fill(agent, 50)
    before = weights(agent)
    agent.learn()
    assert {p.device.type for p in agent.Q_eval.parameters()} == {'cuda'}
    assert all((weights(agent)[name] != w).any() for name, w in before.items())
    assert agent.choose_action(np.zeros(8)) in agent.action_space
