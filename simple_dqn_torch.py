"""Deep Q-learning with a replay memory and one network, in the order of the video.

The comments "the video: ..." and "not in the video" mark the differences that matter
most. README.md lists the differences, and says what they do.
"""
import torch as T
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import numpy as np


class DeepQNetwork(nn.Module):
    """Takes a state and estimates the value of each action.

    lr: learning rate of Adam. input_dims: shape of a state, such as (8,).
    fc1_dims, fc2_dims: units in the hidden layers. n_actions: number of outputs.
    """

    def __init__(self, lr, input_dims, fc1_dims, fc2_dims, n_actions):
        super().__init__()
        self.input_dims = input_dims
        self.fc1_dims = fc1_dims
        self.fc2_dims = fc2_dims
        self.n_actions = n_actions
        # Each output of a layer is a sum: all inputs, each times a weight, plus a bias.
        # Weights and biases begin at random. Learning moves them; below, "weights"
        # means both.
        self.fc1 = nn.Linear(*self.input_dims, self.fc1_dims)
        self.fc2 = nn.Linear(self.fc1_dims, self.fc2_dims)
        self.fc3 = nn.Linear(self.fc2_dims, self.n_actions)

        # Adam moves each weight by an amount of its own; lr scales all these amounts.
        # fused=True: the same but for rounding, only faster.
        self.optimizer = optim.Adam(self.parameters(), lr=lr, fused=True)
        self.loss = nn.MSELoss()
        self.device = T.device('cuda:0' if T.cuda.is_available() else 'cpu')
        self.to(self.device)

    def forward(self, state):
        """Values of all actions, of shape (n_actions,) or (batch, n_actions).

        state: float32 tensor, which is torch's array. It is one state, of shape
        input_dims, or a batch, several states at once, of shape (batch, *input_dims).

        Layer normalisation: Ba, Kiros and Hinton 2016, "Layer Normalization", eq. 3.
        What it does for Q-learning: Gallici et al. 2024, "Simplifying Deep Temporal
        Difference Learning".
        """
        # not in the video: for each state, layer_norm shifts and scales the outputs of
        # a layer to mean 0 and variance 1. The network computes its own targets, which
        # can make learning unstable; layer_norm steadies it. relu makes negative
        # numbers 0.
        x = F.relu(F.layer_norm(self.fc1(state), (self.fc1_dims,)))
        x = F.relu(F.layer_norm(self.fc2(x), (self.fc2_dims,)))
        return self.fc3(x)  # no activation: a value can be negative or above one


class Agent:
    """Has a network, a replay memory, a way to choose actions and one to learn.

    max_mem_size: transitions remembered; with fewer, it forgets sooner.
    eps_dec: what epsilon loses in each step of learning; 0 or more.
    gamma, epsilon: from 0 to 1. eps_end: from 0 to epsilon. lr: above 0.
    input_dims: shape of a state, which is a vector: (8,) for LunarLander.
    n_actions: 1 or more; the actions are 0 to n_actions - 1.
    batch_size: from 1 to max_mem_size.
    seed: the same seed gives the same initial weights, random actions and batches. It
        is torch's seed too, since torch draws the weights. None: another run each time.

    What the other hyperparameters do is said in main_lunar_lander.py.

    Raises ValueError for an argument outside its range, and for a size or a number of
    actions that is not a whole number.
    """

    def __init__(self, gamma, epsilon, lr, input_dims, batch_size, n_actions,
                 max_mem_size=100000, eps_end=0.01, eps_dec=5e-4, seed=None):
        check_arguments(gamma, epsilon, lr, input_dims, batch_size, n_actions,
                        max_mem_size, eps_end, eps_dec, seed)
        self.gamma = gamma
        self.epsilon = epsilon
        self.eps_min = eps_end
        self.eps_dec = eps_dec
        self.lr = lr
        self.action_space = [i for i in range(n_actions)]
        self.mem_size = max_mem_size
        self.batch_size = batch_size
        self.mem_cntr = 0  # transitions ever stored, those overwritten included

        # not in the video: the agent's own random numbers
        self.rng = seed_torch_and_make_rng(seed)

        self.Q_eval = DeepQNetwork(self.lr, n_actions=n_actions, input_dims=input_dims,
                                   fc1_dims=256, fc2_dims=256)

        self.state_memory = np.zeros((self.mem_size, *input_dims), dtype=np.float32)
        self.new_state_memory = np.zeros((self.mem_size, *input_dims), dtype=np.float32)
        self.action_memory = np.zeros(self.mem_size, dtype=np.int32)
        self.reward_memory = np.zeros(self.mem_size, dtype=np.float32)
        self.terminal_memory = np.zeros(self.mem_size, dtype=bool)

    def store_transition(self, state, action, reward, state_, terminal):
        """Store one step; in a full memory it replaces the oldest.

        state, state_: before and after the step, of shape input_dims.
        terminal: whether state_ ended the game, so that no reward can follow; False
            if a time limit cut the game off.

        Raises ValueError or TypeError, and stores nothing, for a state of another
        shape, an action outside action_space, a terminal that is neither True nor
        False, or a number that is NaN or infinite.
        """
        check_transition(self, state, action, reward, state_, terminal)
        index = self.mem_cntr % self.mem_size  # in a full memory, from 0 on again
        self.state_memory[index] = state
        self.new_state_memory[index] = state_
        self.reward_memory[index] = reward
        self.action_memory[index] = action
        self.terminal_memory[index] = terminal

        self.mem_cntr += 1

    def choose_action(self, observation):
        """An action for one observation of shape input_dims, as an int.

        The best known one with probability 1 - epsilon, else any at random.
        Raises ValueError for an observation of another shape.
        """
        check_observation(self, observation)
        if self.rng.random() > self.epsilon:
            # the video: [observation], a batch of one; a single state will do
            state = T.as_tensor(observation, dtype=T.float32, device=self.Q_eval.device)
            with T.no_grad():
                actions = self.Q_eval(state)  # forward: a value for each action
            action = T.argmax(actions).item()
        else:
            action = int(self.rng.choice(self.action_space))

        return action

    def learn(self):
        """One step of Q-learning on a random batch. Epsilon falls, never below eps_min.

        Moves Q(s, a), the value of the action a taken in state s, towards a target. The
        target is r + gamma * max_a' Q(s', a'), with the reward r and the next state s',
        or r alone if s' is terminal. Does nothing until the memory holds a batch.

        Mnih et al. 2013, "Playing Atari with Deep Reinforcement Learning", eq. 2 and
        algorithm 1; Sutton and Barto 2018, "Reinforcement Learning", eq. 6.8.
        """
        if self.mem_cntr < self.batch_size:
            return

        # A gradient is how the loss, the error, changes with a weight. Clear those of the
        # last step: PyTorch would add the new ones to them.
        self.Q_eval.optimizer.zero_grad()

        # Draw a random batch of the stored transitions, none of them twice.
        max_mem = min(self.mem_cntr, self.mem_size)
        batch = self.rng.choice(max_mem, self.batch_size, replace=False)
        batch_index = np.arange(self.batch_size, dtype=np.int32)

        state_batch = T.tensor(self.state_memory[batch]).to(self.Q_eval.device)
        new_state_batch = T.tensor(self.new_state_memory[batch]).to(self.Q_eval.device)
        reward_batch = T.tensor(self.reward_memory[batch]).to(self.Q_eval.device)
        terminal_batch = T.tensor(self.terminal_memory[batch]).to(self.Q_eval.device)
        action_batch = self.action_memory[batch]

        # Estimate the values of the actions taken. In LunarLander, the states (64, 8)
        # give values (64, 4): a row for each state. In row batch_index, take the value
        # at place action_batch.
        q_eval = self.Q_eval(state_batch)[batch_index, action_batch]

        # Compute the target: the reward plus gamma times the best next value. It is a
        # fixed number: only the estimate should move (Mnih's eq. 2).
        with T.no_grad():
            # the video: without no_grad, so that a gradient moves the target as well
            q_next = self.Q_eval(new_state_batch)  # a target network would go here
            q_next[terminal_batch] = 0.0  # after the end of a game no reward follows
            # T.max makes (64, 4) into the 64 best values and their actions; [0] takes
            # the values.
            q_target = reward_batch + self.gamma * T.max(q_next, dim=1)[0]

        # Move the estimates towards the target, to shrink the loss: the mean of their
        # squared distances.
        loss = self.Q_eval.loss(q_target, q_eval)
        loss.backward()  # computes the gradients
        self.Q_eval.optimizer.step()  # Adam moves each weight a little

        # Explore a little less, down to eps_min.
        self.epsilon = max(self.epsilon - self.eps_dec, self.eps_min)


# The agent is complete. What follows makes runs repeatable and refuses bad input.
def seed_torch_and_make_rng(seed):
    """Seed torch, at random if seed is None, and return a generator of numpy."""
    if seed is None:
        T.seed()  # else a forked process would repeat its parent's numbers
    else:
        T.manual_seed(seed)
    # spawn: otherwise agent and game could draw the same numbers from one seed.
    return np.random.default_rng(seed).spawn(1)[0]


def require(valid, name, value, wanted):
    """Raise ValueError, with the argument's name and value, unless valid is true."""
    if not valid:
        raise ValueError(f'{name} must be {wanted}, got {value!r}')


def check_arguments(gamma, epsilon, lr, input_dims, batch_size, n_actions,
                    max_mem_size, eps_end, eps_dec, seed):
    """Refuse arguments outside their ranges. NaN is in no range."""
    require(0 <= gamma <= 1, 'gamma', gamma, 'from 0 to 1')
    require(0 <= epsilon <= 1, 'epsilon', epsilon, 'from 0 to 1')
    require(0 <= eps_end <= epsilon, 'eps_end', eps_end,
            f'from 0 to epsilon={epsilon} (if epsilon is lowered, lower eps_end, too)')
    require(0 <= eps_dec < np.inf, 'eps_dec', eps_dec, 'finite and >= 0')
    require(0 < lr < np.inf, 'lr', lr, 'finite and above 0')
    require(np.shape(input_dims) == (1,), 'input_dims', input_dims,
            'a tuple of one size, such as (8,) '
            '(gym.wrappers.FlattenObservation makes most states so)')
    for name, size in (('n_actions', n_actions), ('max_mem_size', max_mem_size),
                       ('batch_size', batch_size), ('input_dims[0]', input_dims[0])):
        require(isinstance(size, (int, np.integer)) and size >= 1, name, size,
                'a whole number, at least 1')
    require(batch_size <= max_mem_size, 'batch_size', batch_size,
            f'at most max_mem_size={max_mem_size}')
    whole = isinstance(seed, (int, np.integer))
    require(seed is None or (whole and 0 <= seed < 2 ** 64), 'seed', seed,
            'None or a whole number from 0 to 2 ** 64 - 1')


def check_observation(agent, observation):
    """Refuse a batch of observations, and one of another game."""
    shape = agent.state_memory.shape[1:]
    require(np.shape(observation) == shape, 'observation', observation,
            f'of shape input_dims={shape}')


def check_transition(agent, state, action, reward, state_, terminal):
    """Refuse a bad transition before any of it is stored."""
    shape = agent.state_memory.shape[1:]
    for name, value in (('state', state), ('state_', state_)):
        require(np.shape(value) == shape and np.isfinite(value).all(), name, value,
                f'of shape input_dims={shape} and finite')
    require(np.isfinite(float(reward)), 'reward', reward, 'finite')
    require(np.shape(action) == () and action in agent.action_space, 'action', action,
            f'one of {agent.action_space}')
    require(np.shape(terminal) == () and terminal in (True, False), 'terminal',
            terminal, 'True or False')
