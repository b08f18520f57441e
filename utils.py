"""What the main script needs besides the agent: Ctrl-C, the plot, the recording."""
import copy
import io
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as T
from matplotlib.figure import Figure
from PIL import Image


def check_run(name, n_games):
    """Refuse, before the first game, a run whose result could not be saved.

    Raises ValueError unless n_games is a whole number of at least 1, and OSError, with
    the folder's path, unless a file of this name can be written there.
    """
    if not isinstance(n_games, int) or n_games < 1:
        raise ValueError(f'n_games must be a whole number above 0, got {n_games!r}')
    open(Path(f'{name}.part').absolute(), 'ab').close()


class Unbroken(io.TextIOBase):
    """A stream to print to that raises no error once nobody reads it any more."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        """Write text at once, if that can be done."""
        with suppress(Exception):
            self.stream.write(text)
            self.stream.flush()


def games_until_ctrl_c(n_games):
    """Yield the games' numbers, 1 to n_games; after Ctrl-C the current one is the last.

    The program then goes on after its loop; a second Ctrl-C ends it at once. Python's
    own handling of Ctrl-C is not put back, nor its standard output, which raises no
    error from then on. To be called in the main thread.
    """
    interrupted, doing = False, 'finishing this game, then saving'

    def handle(signum, frame):
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # In `python main_lunar_lander.py | tee log`, Ctrl-C has ended tee as well.
        sys.stdout = Unbroken(sys.stdout)
        with suppress(Exception):  # not print: Ctrl-C may have come inside one
            os.write(2, f'Ctrl-C: {doing}; again ends at once\n'.encode())

    signal.signal(signal.SIGINT, handle)
    for i in range(1, n_games + 1):
        yield i
        if interrupted:
            print(f'stopped after {i} of {n_games} games')
            return
    doing = 'all games are played, saving'


def save_network(network, name):
    """Save a network's weights as name.pt; an older file stays until all is written."""
    T.save(network.state_dict(), f'{name}.part')
    os.replace(f'{name}.part', f'{name}.pt')
    print(f'saved the network as {name}.pt')


def plot_learning_curve(x, scores, epsilons, filename, reward_threshold=None):
    """Plot epsilon (left axis) and scores (right axis) over games to an image file.

    x, scores, epsilons: one entry a game. filename: its stem becomes the title.
    reward_threshold: score that counts as solved, drawn as a line; None draws none.
    """
    averages = [np.mean(scores[max(0, i - 99):i + 1]) for i in range(len(scores))]

    # Not pyplot: a Figure alone needs no display and leaves nothing open.
    fig = Figure(figsize=(7, 4.4), layout='constrained')
    ax = fig.subplots()
    ax2 = ax.twinx()
    ax.set(title=f'Deep Q-learning: {Path(filename).stem}', xlabel='Game',
           ylim=(-0.02, 1.02))
    ax.locator_params(axis='x', integer=True, min_n_ticks=1)
    ax.set_ylabel('Epsilon', color='C0')
    ax.tick_params(axis='y', colors='C0')
    ax2.set_ylabel('Score')

    ax.plot(x, epsilons, color='C0', label='epsilon')
    ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    ax2.plot(x, averages, color='C3', linewidth=2.5,
             label='average of the last 100 games')
    if reward_threshold is not None:
        ax2.axhline(reward_threshold, color='gray', linewidth=1,
                    label=f'solved: {reward_threshold:g}')
    fig.legend(loc='outside lower center', ncols=4)
    fig.savefig(filename, dpi=200)
    print(f'saved the learning curve as {filename}')


def record_game(agent, env, filename):
    """Play one greedy game of env, made anew, and write it as a GIF at natural speed.

    A copy of the agent plays, without random actions; the agent stays as it is.
    Always the same start (seed 0); at most 400 pictures, about 1 MB.
    """
    try:
        game = gym.make(env.spec, render_mode='rgb_array')
        observation, _ = game.reset(seed=0)
        Image.fromarray(game.render())
    except Exception as error:  # whatever it is, it must not end the run
        print(f'no {filename}: {env.spec.id} offers no picture ({error})')
        return

    greedy = copy.copy(agent)
    greedy.epsilon, greedy.rng = 0.0, np.random.default_rng()
    fps = game.metadata.get('render_fps', 30)
    skip = max(1, round(fps / 16))  # 16 pictures a second are smooth, and a small file
    frames = []
    score, step, done = 0, 0, False
    while not done and len(frames) < 400:
        action = greedy.choose_action(observation)
        observation, reward, terminated, truncated, _ = game.step(action)
        done = terminated or truncated
        score += reward
        picture = game.render()  # even if not kept: it also clears the old flames
        if step % skip == 0 or done:
            frame = Image.fromarray(picture)
            frame.thumbnail((400, 400))
            frames.append(frame.quantize(64, dither=Image.Dither.NONE))
        step += 1
    game.close()

    # Round the moments, not the gaps: a GIF counts in 10 ms, and the gaps would drift.
    moments = 10 * np.round(np.arange(len(frames)) * 100 * skip / fps)
    frames[0].save(filename, save_all=True, append_images=frames[1:], loop=0,
                   duration=[*np.diff(moments), 2000])
    print(f'saved {"one" if done else "the start of a"} greedy game, '
          f'score {score:.2f}, as {filename}')
