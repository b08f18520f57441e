"""What the main script needs besides the agent: a check, files, plot and recording."""
import io
import time
from itertools import count
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as T
from matplotlib.figure import Figure
from PIL import Image, ImageOps


def check_space(space):
    """Raise ValueError unless the actions of a game are numbered from 0 to n - 1."""
    if not isinstance(space, gym.spaces.Discrete) or space.start:
        raise ValueError('env.action_space must be Discrete(n) of gymnasium and start '
                         f'at 0, got {space!r} of {type(space).__module__}')


def save_network(network, filename):
    """Save a network's weights. If that breaks off, the old file stays as it was.

    Raises OSError if the file cannot be written.
    """
    # First to memory: T.save to a file turns a full disk, and sometimes Ctrl-C, into a
    # RuntimeError.
    weights = io.BytesIO()
    T.save(network.state_dict(), weights)
    part = Path(f'{filename}.part')
    try:
        part.write_bytes(weights.getvalue())
        rename(part, filename)
    finally:
        part.unlink(missing_ok=True)  # it is still there only after an error


def rename(path, filename):
    """Give a file the name of another, which it replaces; try for about 5 seconds.

    Raises PermissionError if it is refused for so long.
    """
    for _ in range(50):
        try:
            path.replace(filename)
            return
        except PermissionError:  # Windows, while another program reads the file
            time.sleep(0.1)
    path.replace(filename)


def save_new(network, env):
    """Save a network in a new file named after the game; return the name without .pt.

    Later runs get a number: LunarLander.pt, then LunarLander-2.pt. A name is free if no
    .pt, .png or .gif in the current folder has it. Raises OSError if the network cannot
    be written there.
    """
    game = env.spec.name if env.spec else type(env.unwrapped).__name__
    for i in count(1):
        name = game if i == 1 else f'{game}-{i}'
        if Path(f'{name}.png').exists() or Path(f'{name}.gif').exists():
            continue
        try:
            Path(f'{name}.pt').touch(exist_ok=False)  # from now on the name is taken
        except FileExistsError:
            continue
        try:
            save_network(network, f'{name}.pt')
        except BaseException:  # Ctrl-C, too, leaves no empty file
            Path(f'{name}.pt').unlink()
            raise
        return name


def solved_score(env):
    """The average score that solves a game, or None.

    None if the game names none, or if a wrapper may have changed the rewards, so that
    the scores are in other units. Options of gym.make(...) are not looked at.
    """
    if env.spec is None:
        return None
    threshold = env.spec.reward_threshold
    for _ in env.spec.additional_wrappers:  # those put around gym.make(...)
        if not isinstance(env, gym.ObservationWrapper):
            return None
        env = env.env
    return threshold


def plot_learning_curve(x, scores, epsilons, filename, env=None):
    """Plot epsilon (left axis) and scores (right axis) over games to an image file.

    x, scores, epsilons: one entry for each game.
    filename: such as 'LunarLander.png'; the title is the part before the last dot.
    env: the game; the score that solves it is drawn as a line, if it is known.
    """
    averages = [np.mean(scores[max(0, i - 99):i + 1]) for i in range(len(scores))]

    # Not pyplot: a Figure alone needs no display and leaves nothing open.
    fig = Figure(figsize=(6, 3.8), layout='constrained')
    ax = fig.add_subplot(title=Path(filename).stem, xlabel='Game', ylabel='Epsilon')
    ax.locator_params(axis='x', integer=True, min_n_ticks=1)
    ax2 = ax.twinx(ylabel='Score')

    ax.plot(x, epsilons, color='C0', label='epsilon')
    ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    ax2.plot(x, averages, color='C3', linewidth=2.5, label='average of the last 100')
    solved = None if env is None else solved_score(env)
    if solved is not None:
        ax2.axhline(solved, color='black', linestyle='--', linewidth=1,
                    label=f'solved: {solved:g}')
    fig.legend(loc='outside lower center', ncols=4)
    fig.savefig(filename, dpi=200)


def record_game(agent, env, filename):
    """Play one game in env and write it as a GIF at natural speed.

    At most 400 pictures, about 1 MB. The agent's epsilon still applies; at 0, no action
    is random.
    Returns a text: filename and score, or why there is no recording.

    It resets env with seed 0, and later games in env go on from there. So record after
    training: during it, each recording would make the same games come again.
    """
    if 'rgb_array' not in env.metadata.get('render_modes', []):
        return f'no {filename}: the game has no render mode rgb_array'
    env.unwrapped.render_mode = 'rgb_array'  # not in training: drawing is slow
    fps = env.metadata.get('render_fps', 30)  # steps a second
    skip = max(1, round(fps / 16))  # 16 pictures a second make a small file

    observation, info = env.reset(seed=0)
    frames, n_steps, score = [], 0, 0
    terminated = truncated = False
    while not (terminated or truncated) and len(frames) < 400:
        action = agent.choose_action(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        n_steps += 1
        score += float(reward)
        picture = env.render()  # drawn even if not kept: flames fade only when drawn
        if n_steps % skip == 0 or terminated or truncated:
            frame = ImageOps.contain(Image.fromarray(picture), (398, 398))
            # The border shows where a white game ends on a white page.
            frames.append(ImageOps.expand(frame, border=1).quantize(colors=64))

    # Milliseconds for each picture, in the steps of 10 that a GIF has.
    durations = [round(1000 * skip / fps, -1)] * len(frames)
    durations[-1] = 2000  # the last one stays
    frames[0].save(filename, save_all=True, append_images=frames[1:], loop=0,
                   duration=durations)
    played = 'a game' if terminated or truncated else 'start of a game'
    return f'{filename} ({played}, score {score:.2f})'
