"""What the main script needs besides the agent: a check, files, plot and recording."""
import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch as T
from gymnasium.spaces import Discrete
from matplotlib.figure import Figure
from PIL import Image, ImageOps


def check_space(space):
    """Raise ValueError unless the actions of a game are numbered from 0 to n - 1."""
    if not isinstance(space, Discrete) or space.start:
        raise ValueError('env.action_space must be Discrete(n) of gymnasium and start '
                         f'at 0, got {space!r} of {type(space).__module__}')


def save_network(network, filename):
    """Save a network's weights. If that breaks off, the old file stays as it was."""
    weights, part = io.BytesIO(), Path(f'{filename}.part')
    T.save(network.state_dict(), weights)
    part.write_bytes(weights.getvalue())
    part.replace(filename)


def name_run(network, env):
    """Save a network under the name of its game, and return the name that was free.

    Later runs get a number: LunarLander.pt, then LunarLander-2.pt. A name is free if no
    .pt, .png or .gif in the current folder has it. Raises OSError if the network cannot
    be written there.
    """
    game = env.spec.name if env.spec else type(env.unwrapped).__name__
    # Under a random name first: if the disk is full, there is no empty LunarLander.pt.
    save_network(network, unnamed := f'{np.random.default_rng().bytes(8).hex()}.pt')
    for name in (f'{game}-{i}' if i > 1 else game for i in range(1, 10 ** 9)):
        if not any(Path(name + ending).exists() for ending in ('.png', '.gif')):
            with suppress(FileExistsError):  # the name is taken: try the next
                Path(f'{name}.pt').touch(exist_ok=False)
                Path(unnamed).replace(f'{name}.pt')
                return name


def plot_learning_curve(x, scores, epsilons, filename, spec=None):
    """Plot epsilon (left axis) and scores (right axis) over games to an image file.

    x, scores, epsilons: one entry for each game.
    filename: such as 'LunarLander.png'; the title is the part before '.png'.
    spec: the game's env.spec; its reward_threshold, if it has one, is drawn as a line.
    """
    averages = [np.mean(scores[:i + 1][-100:]) for i in range(len(scores))]

    # Not pyplot: a Figure alone needs no display and leaves nothing open.
    fig = Figure(figsize=(6, 3.8), layout='constrained')
    ax = fig.add_subplot(title=filename[:-4], xlabel='Game', ylabel='Epsilon')
    ax.locator_params(axis='x', integer=True, min_n_ticks=1)
    ax2 = ax.twinx(ylabel='Score')

    ax.plot(x, epsilons, color='C0', label='epsilon')
    ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    ax2.plot(x, averages, color='C3', linewidth=2.5, label='average of the last 100')
    if spec and (solved := spec.reward_threshold) is not None:
        ax2.axhline(solved, color='black', ls='--', lw=1, label=f'solved: {solved:g}')
    fig.legend(loc='outside lower center', ncols=4)
    fig.savefig(filename, dpi=200)


def record_game(agent, env, filename):
    """Play one game in env and write it as a GIF at natural speed.

    The start is always the same (seed 0). At most 400 pictures, about 1 MB.
    Returns a text: filename and score, or why there is no recording.
    """
    if 'rgb_array' not in env.metadata.get('render_modes', []):
        return f'no {filename}: the game has no render mode rgb_array'
    env.unwrapped.render_mode = 'rgb_array'  # only now, since drawing takes time
    fps = env.metadata.get('render_fps', 30)
    skip = max(1, round(fps / 16))  # 16 pictures a second make a small file
    observation, frames, score, ends = env.reset(seed=0)[0], [], 0, []
    while not any(ends) and len(frames) < 400 * skip:
        observation, reward, *ends, _ = env.step(agent.choose_action(observation))
        score += float(reward)
        # Every step is drawn, also those skipped below: drawing makes flames fade.
        frame = ImageOps.contain(Image.fromarray(env.render()), (398, 398))
        frames.append(ImageOps.expand(frame, 1).quantize(64))

    # A GIF measures time in steps of 10 ms. The last picture stays for 2 s.
    frames = frames[:-skip:skip] + frames[-1:] * round(2 * fps / skip)
    frames[0].save(filename, save_all=True, append_images=frames[1:], loop=0,
                   duration=round(1000 * skip / fps, -1))
    return f'{filename} ({"" if any(ends) else "start of "}a game, score {score:.2f})'
