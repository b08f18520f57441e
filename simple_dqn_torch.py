"""Deep Q-learning with a replay memory and one network, in the order of the video."""
from math import isfinite
from numbers import Integral, Real

import numpy as np
import torch as T
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class DeepQNetwork(nn.Module):
    """The action-value function Q(s, a): a state in, one value for each action out.

    lr: learning rate of Adam. input_dims: shape of a state, one size, such as (8,).
    fc1_dims, fc2_dims: units in the hidden layers. n_actions: number of outputs.

    Making one sets torch.set_flush_denormal for the calling thread.
    """

    def __init__(self, lr, input_dims, fc1_dims, fc2_dims, n_actions):
        super().__init__()
        # The video also keeps the arguments on self; nothing would read them.
        self.fc1 = nn.Linear(*input_dims, fc1_dims)
        self.fc2 = nn.Linear(fc1_dims, fc2_dims)
        self.fc3 = nn.Linear(fc2_dims, n_actions)

        # Meant against values that run away together: eps damps the steps of weights
        # with next to no gradient, weight_decay draws idle weights to 0.
        # fused: all parameters in one call, Adam in less than half the time.
        self.optimizer = optim.Adam(self.parameters(), lr=lr, eps=1e-4,
                                    weight_decay=1e-4, fused=True)
        self.loss = nn.MSELoss()
        # Adam's averages for idle weights shrink to (denormal) numbers so small that
        # they slow a CPU down; take those for zero.
        T.set_flush_denormal(True)
        self.device = T.device('cuda:0' if T.cuda.is_available() else 'cpu')
        self.to(self.device)

    def forward(self, state):
        """Values of all actions, (batch, n_actions) or (n_actions,).

        state: float32 tensor, (batch, *input_dims) or (*input_dims).
        """
        x = F.relu(self.fc1(state))
        x = F.relu(self.fc2(x))
        return self.fc3(x)  # no activation: a value can be negative or above one


class Agent:
    """Has a network, a replay memory, a way to choose actions and one to learn.

    gamma: discount factor of future rewards, 0 to 1.
    epsilon, eps_end: probability of a random action at first and in the end, 0 to 1.
    eps_dec: what each step of learning takes off epsilon.
    lr: learning rate of Adam.
    input_dims: shape of a state, one size: (8,) for LunarLander.
    batch_size: transitions in a batch. max_mem_size: transitions the memory can hold.
    seed: makes network, random actions and batches repeatable. For the network's
        sake it also seeds torch as a whole (torch.manual_seed); None seeds nothing.

    Raises ValueError for a hyperparameter outside its range.
    """

    def __init__(self, gamma, epsilon, lr, input_dims, batch_size, n_actions,
                 max_mem_size=100000, eps_end=0.01, eps_dec=5e-4, seed=None):
        # Not in the video: what cannot work is refused here, by name.
        check('gamma', gamma, 0 <= gamma <= 1, 'from 0 to 1')
        check('epsilon', epsilon, 0 <= epsilon <= 1, 'from 0 to 1')
        check('eps_end', eps_end, 0 <= eps_end <= epsilon,
              f'from 0 to epsilon={epsilon}')
        check('eps_dec', eps_dec, eps_dec >= 0, 'at least 0')
        check('lr', lr, lr > 0, 'above 0')
        check('input_dims', input_dims,
              np.shape(input_dims) == (1,) and isinstance(input_dims[0], Integral)
              and input_dims[0] >= 1,
              'one size of at least 1 (images need convolutional layers instead)')
        for name, size in (('n_actions', n_actions), ('max_mem_size', max_mem_size)):
            check(name, size, isinstance(size, Integral) and size >= 1,
                  'a whole number of at least 1')
        check('batch_size', batch_size,
              isinstance(batch_size, Integral) and 1 <= batch_size <= max_mem_size,
              f'a whole number from 1 to max_mem_size={max_mem_size}')

        self.gamma = gamma
        self.epsilon = epsilon
        self.eps_min = eps_end
        self.eps_dec = eps_dec
        self.action_space = [i for i in range(n_actions)]
        self.mem_size = max_mem_size
        self.batch_size = batch_size
        self.mem_cntr = 0
        self.input_dims = tuple(input_dims)
        self.rng = np.random.default_rng(seed)
        if seed is not None:
            T.manual_seed(seed)

        self.Q_eval = DeepQNetwork(lr, input_dims=input_dims, n_actions=n_actions,
                                   fc1_dims=256, fc2_dims=256)

        self.state_memory = np.zeros((self.mem_size, *input_dims), dtype=np.float32)
        self.new_state_memory = np.zeros((self.mem_size, *input_dims),
                                         dtype=np.float32)
        # 64 bits on every platform, the type that torch indexes with.
        self.action_memory = np.zeros(self.mem_size, dtype=np.int64)
        self.reward_memory = np.zeros(self.mem_size, dtype=np.float32)
        self.terminal_memory = np.zeros(self.mem_size, dtype=bool)

    def store_transition(self, state, action, reward, state_, terminal):
        """Store one step; in a full memory it replaces the oldest.

        state, state_: before and after the step, of shape input_dims.
        terminal: whether state_ ended the game, so that no reward can follow.

        Raises ValueError, and stores nothing, for a state of another shape, an action
        outside action_space or a reward that is not a finite number.
        """
        for name, value in (('state', state), ('state_', state_)):
            # As objects: else numpy fails on the pair that reset() returns, unnamed.
            shape = np.asarray(value, dtype=object).shape
            check(name, f'shape {shape}', shape == self.input_dims,
                  f'of shape input_dims={self.input_dims}')
        check('action', action,
              isinstance(action, Integral) and action in self.action_space,
              f'one of {self.action_space}')
        check('reward', reward, isinstance(reward, Real) and isfinite(reward),
              'a finite number')

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
        if self.rng.random() >= self.epsilon:
            state = T.as_tensor(observation, dtype=T.float32).to(self.Q_eval.device)
            with T.no_grad():  # nothing is learned here, so nothing is recorded
                actions = self.Q_eval.forward(state)
            action = T.argmax(actions).item()
        else:
            action = int(self.rng.choice(self.action_space))

        return action

    def learn(self):
        """One step of Q-learning on a random batch, once the memory holds a batch.

        Moves Q(s, a) towards r + gamma max_a' Q(s', a'), or r alone where s' is
        terminal: Mnih et al. 2013, "Playing Atari with Deep Reinforcement Learning",
        eq. 2 and algorithm 1 (in 2015, "Human-level control through deep reinforcement
        learning", with a target network); the rule without a network: Sutton and
        Barto 2018, "Reinforcement Learning", eq. 6.8.
        """
        if self.mem_cntr < self.batch_size:
            return

        self.Q_eval.optimizer.zero_grad()

        max_mem = min(self.mem_cntr, self.mem_size)
        # A Generator draws without replacement at the cost of the batch alone;
        # np.random.choice would permute the whole memory at every step.
        batch = self.rng.choice(max_mem, self.batch_size, replace=False)
        device = self.Q_eval.device
        # Pairs row i with its action: [:, action_batch] would pair it with all.
        batch_index = T.arange(self.batch_size, device=device)

        state_batch = T.from_numpy(self.state_memory[batch]).to(device)
        new_state_batch = T.from_numpy(self.new_state_memory[batch]).to(device)
        reward_batch = T.from_numpy(self.reward_memory[batch]).to(device)
        terminal_batch = T.from_numpy(self.terminal_memory[batch]).to(device)
        action_batch = T.from_numpy(self.action_memory[batch]).to(device)

        q_eval = self.Q_eval.forward(state_batch)[batch_index, action_batch]
        # The target is a constant: only the estimate is moved towards it.
        with T.no_grad():
            q_next = self.Q_eval.forward(new_state_batch)  # or a target network's
            q_next[terminal_batch] = 0.0
            q_target = reward_batch + self.gamma * T.max(q_next, dim=1)[0]

        loss = self.Q_eval.loss(q_target, q_eval)
        loss.backward()
        self.Q_eval.optimizer.step()

        self.epsilon = max(self.epsilon - self.eps_dec, self.eps_min)


def check(name, value, valid, wanted):
    """Raise a ValueError that names the argument, unless it is valid."""
    if not valid:
        raise ValueError(f'{name} must be {wanted}, got {value!r}')
