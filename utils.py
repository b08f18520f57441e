"""What the main script needs besides the agent: checks, files, plot and recording."""
import copy
import tempfile
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as T
from matplotlib.figure import Figure
from PIL import Image, ImageOps


def check_run(env):
    """Refuse, before the first game, a run that cannot be trained or saved.

    Raises ValueError unless env is a single game with discrete actions that start at 0.
    Raises OSError unless the current folder has room for a run's files (2 MB).
    """
    if not isinstance(env.action_space, gym.spaces.Discrete) or env.action_space.start:
        raise ValueError('env must be a single game whose actions are Discrete(n) and '
                         f'start at 0, got {env.action_space!r}')
    with tempfile.TemporaryFile(dir=Path.cwd()) as file:
        file.write(bytes(2_000_000))


def write(filename, save):
    """Let save(path) write a file, which gets its own name when it is complete."""
    with tempfile.TemporaryDirectory(dir=Path(filename).parent) as folder:
        part = Path(folder, Path(filename).name)
        save(part)
        part.replace(filename)


def save_network(network, env):
    """Save a network's weights under the name of its game, and return that name.

    Later runs get a number: LunarLander.pt, then LunarLander-2.pt. A name is free if no
    .pt, .png or .gif in the current folder has it.
    """
    game = env.spec.name if env.spec else type(env.unwrapped).__name__
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        part = Path(folder, 'part')
        T.save(network.state_dict(), part)
        for name in chain([game], (f'{game}-{i}' for i in count(2))):
            if not any(Path(name + ending).exists() for ending in ('.png', '.gif')):
                with suppress(FileExistsError):  # a run beside this one may be sooner
                    Path(f'{name}.pt').touch(exist_ok=False)
                    part.replace(f'{name}.pt')
                    return name


def plot_learning_curve(x, scores, epsilons, filename, spec=None):
    """Plot epsilon (left axis) and scores (right axis) over games to an image file.

    x, scores, epsilons: one entry a game. After Ctrl-C, an epsilon may be missing.
    filename: the title names it, without the ending.
    spec: the game's env.spec; its reward_threshold, if it has one, is drawn as a line.
    """
    averages = [np.mean(scores[max(0, i - 99):i + 1]) for i in range(len(scores))]

    # Not pyplot: a Figure alone needs no display and leaves nothing open.
    fig = Figure(figsize=(6, 3.8), layout='constrained')
    ax = fig.subplots()
    ax2 = ax.twinx()
    ax.set(title=f'Deep Q-learning: {Path(filename).stem}', xlabel='Game')
    ax.locator_params(axis='x', integer=True, min_n_ticks=1)
    ax.set_ylabel('Epsilon', color='C0')
    ax2.set_ylabel('Score')

    ax.plot(x[:len(epsilons)], epsilons, color='C0', label='epsilon')
    ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    ax2.plot(x, averages, color='C3', linewidth=2.5, label='average of the last 100')
    if spec and spec.reward_threshold is not None:
        ax2.axhline(spec.reward_threshold, color='black', linestyle='--', linewidth=1,
                    label=f'solved: {spec.reward_threshold:g}')
    fig.legend(loc='outside lower center', ncols=4)
    write(filename, lambda part: fig.savefig(part, dpi=200))


def record_game(agent, env, filename):
    """Make the game of env again, play it once, and write it as a GIF at natural speed.

    A copy of the agent plays, without random actions; the agent stays as it is.
    The start is always the same (seed 0). At most 400 pictures, about 1 MB.
    Returns filename and the score in words, or why there is no recording.
    """
    greedy = copy.copy(agent)  # with its own random numbers, though none decides
    greedy.epsilon, greedy.rng = 0.0, np.random.default_rng()
    frames, score, step, done = [], 0, 0, False
    try:
        with gym.make(env.spec, render_mode='rgb_array') as game:
            fps = game.metadata.get('render_fps', 30)
            skip = max(1, round(fps / 16))  # 16 pictures a second make a small file
            observation, _ = game.reset(seed=0)
            while not done and len(frames) < 400:
                action = greedy.choose_action(observation)
                observation, reward, terminated, truncated, _ = game.step(action)
                done = terminated or truncated
                score += float(reward)
                shown = Image.fromarray(game.render())  # each, to clear flames
                if step % skip == 0 or done:
                    frame = ImageOps.expand(ImageOps.contain(shown, (398, 398)), 1)
                    frames.append(frame.quantize(64, dither=Image.Dither.NONE))
                step += 1
    except Exception as error:  # the agent is trained all the same
        return f'no {filename}: the game cannot be made again and shown ({error!r})'

    # A GIF counts in 10 ms. Its last picture stays for 2 s.
    duration = [round(1000 * skip / fps, -1)] * (len(frames) - 1) + [2000]
    write(filename, lambda part: frames[0].save(
        part, save_all=True, append_images=frames[1:], duration=duration, loop=0))
    return f'{filename} ({"a" if done else "the start of a"} game, score {score:.2f})'
