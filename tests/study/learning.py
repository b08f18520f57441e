"""Draws how the values of MountainCar are learned: .github/learning.png.

    python tests/study/learning.py

Plays the script's 500 games of MountainCar and keeps the network before game 1 and
after some others. The picture has the value of the best action in each state, and a
game that this network plays without random actions.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as T
from matplotlib.figure import Figure

from player import CAR, MAIN, N_GAMES, PLAYED_WITH, ROOT, games, make, write_edited

sys.path.append(str(ROOT))
from simple_dqn_torch import DeepQNetwork  # noqa: E402

SHOWN = [0, 15, 30, 50, 100, 500]  # games played
KEEP = (MAIN, 'score = 0.0', f"""\
if i in {SHOWN}:
            save_network(agent.Q_eval, f'{{i}}.pt')
        score = 0.0""")
POSITIONS, SPEEDS = np.linspace(-1.2, 0.6, 181), np.linspace(-0.07, 0.07, 141)


def game_of(network):
    """The states of a game without random actions, from one fixed start."""
    env = gym.make(CAR)
    states, over = [env.reset(seed=0)[0]], False
    while not over:
        action = int(network(T.as_tensor(states[-1])).argmax())
        state, _, terminated, truncated, _ = env.step(action)
        states.append(state)
        over = terminated or truncated
    return np.array(states)


def play(folder):
    """Play the script's games in a folder, and keep the networks there."""
    write_edited(folder, [*games(N_GAMES, PLAYED_WITH['seed'], make(CAR)), KEEP])
    subprocess.check_output([sys.executable, MAIN], cwd=folder)


def draw(folder):
    """Draw the values of the networks that were kept in a folder."""
    fig = Figure(figsize=(6.4, 4.6), layout='constrained')
    grid = T.tensor(np.stack(np.meshgrid(POSITIONS, SPEEDS), axis=2), dtype=T.float32)
    for ax, n in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, SHOWN):
        file = f'{n}.pt' if n < N_GAMES else 'runs/MountainCar/network.pt'
        network = DeepQNetwork(0.0, (2,), 256, 256, 3).cpu()
        network.load_state_dict(T.load(folder / file, map_location='cpu'))
        best, states = network(grid).amax(dim=2).numpy(), game_of(network)
        # No true value is above 0; before game 1 they are up to 0.2.
        image = ax.pcolormesh(POSITIONS, SPEEDS, best, vmin=-100, vmax=1)
        image.cmap.set_over('white')
        ax.plot(*states.T, color='C3', linewidth=1.5)
        ax.axvline(0.5, color='black', linestyle='--', linewidth=1)
        when = f'after {n} games' if n else 'before game 1'
        ax.set_title(f'{when}:\n{len(states) - 1} steps', fontsize='medium')
        ax.set_yticks([-0.05, 0, 0.05])
        print(n, len(states) - 1, best.min(), best.max())
    fig.supxlabel('Position', fontsize='medium')
    fig.supylabel('Speed', fontsize='medium')
    fig.colorbar(image, ax=fig.axes, label='Value of the best action', extend='max')
    fig.savefig(ROOT / '.github/learning.png', dpi=200)


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as name, T.no_grad():
        play(Path(name))
        draw(Path(name))
