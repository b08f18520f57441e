"""How long a step takes with lines as the video has them, beside this project.

    python tests/study/speed.py

Prints the lines that stand in the README.md beside it. Takes some minutes, on a machine
that does nothing else.

Each edit takes its turn in every round, in a process of its own, on one thread. It
plays LunarLander with 90,000 transitions stored and learns in each step. A line has the
median, lowest and highest of this project's speed divided by the edited one's.

If the lines change, the project's page has three of the figures: for fused=True, for
self.rng.choice, and for all lines as in the video.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from player import AGENT, NO_NORM, WITH_GRADIENT, write_edited

ROUNDS = 9
LOOP = '''
import time
import gymnasium as gym
import numpy as np
import torch as T
from simple_dqn_torch import Agent
T.set_num_threads(1)
env = gym.make('LunarLander-v3')
agent = Agent(0.99, 0.01, 1e-4, (8,), 64, 4, eps_end=0.01, seed=0)
agent.mem_cntr = 90000
agent.state_memory[:] = agent.new_state_memory[:] = np.random.normal(size=(100000, 8))
observation, info = env.reset(seed=0)
warm_up, n_steps = 500, 2000
for i in range(warm_up + n_steps):
    if i == warm_up:
        start = time.perf_counter()
    agent.choose_action(observation)  # not followed: each edit flies the same course
    observation_, reward, terminated, truncated, info = env.step(i % 4)
    agent.store_transition(observation, i % 4, reward, observation_, terminated)
    agent.learn()
    observation = env.reset()[0] if terminated or truncated else observation_
print(n_steps / (time.perf_counter() - start))
'''
SEPARATE = [(AGENT, ', fused=True', '')]
SHUFFLE = [(AGENT, 'self.rng.choice(max_mem', 'np.random.choice(max_mem')]
EDITS = {
    'this project': [],
    'Adam without fused=True': SEPARATE,
    'np.random.choice': SHUFFLE,
    'target with its gradient': WITH_GRADIENT,
    'no layer normalisation': NO_NORM,
    'all of these, as in the video': [*SEPARATE, *SHUFFLE, *WITH_GRADIENT, *NO_NORM],
    'no check of transitions': [
        (AGENT, 'check_transition(self, state, action, reward, state_, terminal)',
         'pass')],
}


def steps_per_second(edits):
    """Speed of the edited agent, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_edited(Path(folder), edits)
        done = subprocess.run([sys.executable, '-c', LOOP], cwd=folder, check=True,
                              capture_output=True, text=True)
    return float(done.stdout)


if __name__ == '__main__':
    speeds = np.array([[steps_per_second(edits) for edits in EDITS.values()]
                       for _ in range(ROUNDS)])
    for name, ratios in zip(EDITS, (speeds[:, :1] / speeds).T):
        print(f'{np.median(ratios):.2f} {min(ratios):.2f} {max(ratios):.2f} {name}')
