"""Deep Q-learning with a replay memory and one network, in the order of the video."""
import torch as T
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import numpy as np


class DeepQNetwork(nn.Module):
    """Takes a state and returns a value for each action.

    lr: learning rate of Adam. input_dims: shape of a state, one size, such as (8,).
    fc1_dims, fc2_dims: units in the hidden layers. n_actions: number of outputs.
    """

    def __init__(self, lr, input_dims, fc1_dims, fc2_dims, n_actions):
        super().__init__()
        self.fc1_dims, self.fc2_dims = fc1_dims, fc2_dims  # the video: all arguments
        self.fc1 = nn.Linear(*input_dims, fc1_dims)
        self.fc2 = nn.Linear(fc1_dims, fc2_dims)
        self.fc3 = nn.Linear(fc2_dims, n_actions)

        # the video: without fused=True, which is just faster
        self.optimizer = optim.Adam(self.parameters(), lr=lr, fused=True)
        self.loss = nn.MSELoss()
        self.device = T.device('cuda:0' if T.cuda.is_available() else 'cpu')
        self.to(self.device)

    def forward(self, state):
        """Values of all actions, of shape (batch, n_actions) or (n_actions,).

        state: float32 tensor of shape (batch, *input_dims) or input_dims.

        Layer normalisation: Ba, Kiros and Hinton 2016, "Layer Normalization", eq. 3.
        What it does for Q-learning: Gallici et al. 2024, "Simplifying Deep Temporal
        Difference Learning".
        """
        # not in the video: layer_norm. A step for one state also changes the values of
        # other states, and these are later targets. layer_norm limits these changes.
        x = F.relu(F.layer_norm(self.fc1(state), (self.fc1_dims,)))
        x = F.relu(F.layer_norm(self.fc2(x), (self.fc2_dims,)))
        return self.fc3(x)  # no activation: a value can be negative or above one


class Agent:
    """Has a network, a replay memory, a way to choose actions and one to learn.

    gamma: discount factor of future rewards, 0 to 1.
    epsilon, eps_end: probability of a random action at first and in the end, 0 to 1;
        eps_end is not above epsilon.
    eps_dec: what each step of learning takes off epsilon.
    lr: learning rate of Adam.
    input_dims: shape of a state, one size: (8,) for LunarLander.
    n_actions: number of actions, which are 0 to n_actions - 1.
    max_mem_size: transitions the memory can hold. batch_size: those in a batch.
    seed: repeats the first weights, the random actions and the batches. It also calls
        torch.manual_seed, because torch draws the weights. None: each agent differs.

    Raises ValueError for an argument that cannot work.
    """

    def __init__(self, gamma, epsilon, lr, input_dims, batch_size, n_actions,
                 max_mem_size=100000, eps_end=0.01, eps_dec=5e-4, seed=None):
        check_arguments(locals())  # not in the video: locals() holds the arguments
        self.gamma = gamma
        self.epsilon = epsilon
        self.eps_min = eps_end
        self.eps_dec = eps_dec
        self.action_space = [i for i in range(n_actions)]
        self.mem_size = max_mem_size
        self.batch_size = batch_size
        self.mem_cntr = 0
        self.rng = np.random.default_rng(seed)  # the video: no seed, each run differs
        if seed is not None:
            T.manual_seed(seed)

        self.Q_eval = DeepQNetwork(lr, n_actions=n_actions, input_dims=input_dims,
                                   fc1_dims=256, fc2_dims=256)

        self.state_memory = np.zeros((self.mem_size, *input_dims), dtype=np.float32)
        self.new_state_memory = np.zeros_like(self.state_memory)
        self.action_memory = np.zeros(self.mem_size, dtype=np.int32)
        self.reward_memory = np.zeros(self.mem_size, dtype=np.float32)
        self.terminal_memory = np.zeros(self.mem_size, dtype=bool)

    def store_transition(self, state, action, reward, state_, terminal):
        """Store one step; in a full memory it replaces the oldest.

        state, state_: before and after the step, of shape input_dims.
        terminal: whether state_ ended the game, so that no reward can follow; False
            if a time limit cut the game off.

        Raises ValueError, and stores nothing, for a state of another shape, an action
        outside action_space, or a state or reward that is not finite.
        """
        # not in the video: refuses what cannot be stored
        check_transition(self, state, action, reward, state_)
        index = self.mem_cntr % self.mem_size
        self.state_memory[index] = state
        self.new_state_memory[index] = state_
        self.reward_memory[index] = reward
        self.action_memory[index] = action
        self.terminal_memory[index] = terminal

        self.mem_cntr += 1

    def choose_action(self, observation):
        """An action for one observation of shape input_dims, as an int.

        The best known one with probability 1 - epsilon, else any at random.
        """
        # the video: >, which can still choose a random action when epsilon is 0
        if self.rng.random() >= self.epsilon:
            # the video: T.tensor([observation]); the network also takes one state alone
            state = T.as_tensor(observation, dtype=T.float32).to(self.Q_eval.device)
            with T.no_grad():  # the video: records a gradient here that nothing uses
                actions = self.Q_eval.forward(state)
            action = T.argmax(actions).item()
        else:
            action = int(self.rng.choice(self.action_space))

        return action

    def learn(self):
        """One step of Q-learning on a random batch. Then epsilon falls, to eps_end.

        Moves Q(s, a), the value of the action taken, towards a target. The target is
        r + gamma * max_a' Q(s', a'), or r alone if the next state s' is terminal.
        Does nothing before the memory holds a batch.

        Mnih et al. 2013, "Playing Atari with Deep Reinforcement Learning", eq. 2 and
        algorithm 1; Sutton and Barto 2018, "Reinforcement Learning", eq. 6.8.
        """
        if self.mem_cntr < self.batch_size:
            return

        self.Q_eval.optimizer.zero_grad()

        max_mem = min(self.mem_cntr, self.mem_size)
        # the video: np.random.choice, which shuffles all indices for every batch
        batch = self.rng.choice(max_mem, self.batch_size, replace=False)
        device = self.Q_eval.device
        # Pairs row i with its own action. [:, action_batch] pairs it with all of them.
        batch_index = np.arange(self.batch_size, dtype=np.int32)

        # the video: T.tensor, which copies each batch once more
        state_batch = T.from_numpy(self.state_memory[batch]).to(device)
        new_state_batch = T.from_numpy(self.new_state_memory[batch]).to(device)
        reward_batch = T.from_numpy(self.reward_memory[batch]).to(device)
        terminal_batch = T.from_numpy(self.terminal_memory[batch]).to(device)
        action_batch = self.action_memory[batch]

        q_eval = self.Q_eval.forward(state_batch)[batch_index, action_batch]
        # the video: without no_grad, so a gradient also flows into the target
        with T.no_grad():
            q_next = self.Q_eval.forward(new_state_batch)  # a target network goes here
            q_next[terminal_batch] = 0.0
            q_target = reward_batch + self.gamma * T.max(q_next, dim=1)[0]

        loss = self.Q_eval.loss(q_target, q_eval)  # the video: .to(device) as well
        loss.backward()
        self.Q_eval.optimizer.step()

        # the video: an if, which lets epsilon fall below eps_end for one step
        self.epsilon = max(self.epsilon - self.eps_dec, self.eps_min)


# Here the lesson ends. What follows checks the input and names what is wrong.
WHOLE = (int, np.integer)
NUMBER = (*WHOLE, float, np.floating)


def is_a(kind, value):
    """Whether value is of one of these types; True and False count as no numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def check_arguments(given):
    """Raise ValueError unless an Agent can work with these arguments (a dict)."""
    epsilon, size = given['epsilon'], given['max_mem_size']
    for name, kind, valid, wanted in (
            ('gamma', NUMBER, lambda x: 0 <= x <= 1, 'a number from 0 to 1'),
            ('epsilon', NUMBER, lambda x: 0 <= x <= 1, 'a number from 0 to 1'),
            ('eps_end', NUMBER, lambda x: 0 <= x <= epsilon,
             f'a number from 0 to epsilon={epsilon!r}'),
            ('eps_dec', NUMBER, lambda x: 0 <= x < np.inf,
             'a finite number of at least 0'),
            ('lr', NUMBER, lambda x: 0 < x < np.inf, 'a finite number above 0'),
            ('input_dims', (tuple, list),
             lambda x: len(x) == 1 and is_a(WHOLE, x[0]) and x[0] >= 1,
             'one size, such as (8,): a state is a vector, not a number or an image'),
            ('n_actions', WHOLE, lambda x: x >= 1, 'a whole number of at least 1'),
            ('max_mem_size', WHOLE, lambda x: x >= 1, 'a whole number of at least 1'),
            ('batch_size', WHOLE, lambda x: 1 <= x <= size,
             f'a whole number from 1 to max_mem_size={size!r}'),
            ('seed', (*WHOLE, type(None)), lambda x: x is None or 0 <= x < 2 ** 64,
             'None or a whole number from 0 to 2**64 - 1')):
        value = given[name]
        if not (is_a(kind, value) and valid(value)):
            raise ValueError(f'{name} must be {wanted}, got {value!r}')


def check_transition(agent, state, action, reward, state_):
    """Raise ValueError unless the agent's memory can hold this transition."""
    shape, n_actions = agent.state_memory.shape[1:], len(agent.action_space)
    vector = f'finite numbers of shape input_dims={shape}'
    for name, value, valid, wanted in (
            ('state', state, are_finite(state, shape), vector),
            ('state_', state_, are_finite(state_, shape), vector),
            ('reward', reward, are_finite(reward, ()), 'a finite number'),
            ('action', action, is_a(WHOLE, action) and 0 <= action < n_actions,
             f'one of {agent.action_space}')):
        if not valid:
            raise ValueError(f'{name} must be {wanted}, got {value!r}')


def are_finite(value, shape):
    """Whether value consists of numbers of this shape, each finite as a float32."""
    try:
        value = np.asarray(value)
    except (ValueError, RuntimeError):  # such as the pair that reset() returns
        return False
    return (value.shape == shape and value.dtype.kind in 'iuf'
            and bool(np.abs(value).max() <= np.finfo(np.float32).max))
