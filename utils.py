"""What the main script needs besides the agent.

That is a check of the actions, a folder for each run, a way to stop early, saving,
the plot, and the recording.
"""
import io
import shutil
import signal
import sys
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


def new_folder(env):
    """Make a folder for a run, with the code of the run in it, and return its path.

    It is named after the game: runs/LunarLander, then runs/LunarLander-2, and so on.
    The code is every script that is beside this one; the copies are in its folder code.
    Raises OSError if folder or code cannot be written.
    """
    name = game_name(env)
    Path('runs').mkdir(exist_ok=True)
    for i in count(1):
        folder = Path('runs', name if i == 1 else f'{name}-{i}')
        try:
            folder.mkdir()
            break
        except FileExistsError:
            continue
    code = folder / 'code'
    code.mkdir()
    for script in Path(__file__).parent.glob('[!.]*.py'):  # no hidden file of an editor
        shutil.copy(script, code)
    return folder


def game_name(env):
    """The name of a game, such as LunarLander."""
    spec = env.unwrapped.spec  # None for a game that gym.make did not make
    return spec.name if spec else type(env.unwrapped).__name__


def until_ctrl_c(items):
    """Go through items; once Ctrl-C has come, stop before the next one.

    The first Ctrl-C is answered by a line on standard error; a second one breaks off at
    once. Where Ctrl-C is ignored, it stays ignored.
    Use it only as `for ... in until_ctrl_c(...)`: once that loop is left, Ctrl-C is as
    before.
    Raises ValueError in a thread, since only the main thread gets Ctrl-C.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # by nohup, or by & in a script
        yield from items
        return
    pressed = False

    def stop_later(signum, frame):
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)  # for the second one
        print('\nstopping after this game; Ctrl-C again breaks off at once',
              file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, stop_later)
    try:
        for item in items:
            yield item
            if pressed:
                break
    finally:
        signal.signal(signal.SIGINT, before)


def save_network(network, filename):
    """Save a network's weights. If that breaks off, the old file stays as it was.

    Raises ValueError if a weight is NaN or infinite, and OSError if the file cannot be
    written.
    """
    weights = network.state_dict()
    if not all(weight.isfinite().all() for weight in weights.values()):
        raise ValueError(
            f"{filename} is not saved: the network's weights are NaN or infinite. "
            'A smaller learning rate or smaller rewards may help.')
    memory = io.BytesIO()  # if T.save wrote the file, it would hide the real error
    T.save(weights, memory)
    part = Path(f'{filename}.part')
    try:
        part.write_bytes(memory.getvalue())
        replace_patiently(part, filename)
    finally:
        part.unlink(missing_ok=True)  # it is still there only after an error


def replace_patiently(path, filename):
    """Put a file in the place of another; if that is refused, try for 5 seconds.

    Raises PermissionError if it is refused for so long.
    """
    for _ in range(50):
        try:
            path.replace(filename)
            return
        except PermissionError:  # Windows, while another program reads the file
            time.sleep(0.1)
    path.replace(filename)


def solved_score(env):
    """The average score that solves a game, or None.

    None if the game names none, or if a RewardWrapper or NormalizeReward changes the
    rewards, so that scores are in other units. Other changes of rewards are not seen.
    """
    spec = env.unwrapped.spec
    while isinstance(env, gym.Wrapper):
        if isinstance(env, (gym.RewardWrapper, gym.wrappers.NormalizeReward)):
            return None
        env = env.env
    return spec.reward_threshold if spec else None


def plot_learning_curve(x, scores, epsilons, filename, env=None):
    """Plot epsilon (left axis) and scores (right axis) over games to an image file.

    x, scores, epsilons: one entry for each game.
    filename: such as 'learning_curve.png'.
    env: the game; its name is the title, and the score that solves it a line.
    """
    averages = [np.mean(scores[max(0, i - 99):i + 1]) for i in range(len(scores))]

    # Not pyplot: a Figure alone needs no display and leaves nothing open.
    fig = Figure(figsize=(6, 3.8), layout='constrained')
    ax = fig.add_subplot(xlabel='Game', ylabel='Epsilon')
    ax.locator_params(axis='x', integer=True, min_n_ticks=1)
    ax2 = ax.twinx()
    ax2.set_ylabel('Score')

    ax.plot(x, epsilons, color='C0', label='epsilon')
    ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    ax2.plot(x, averages, color='C3', linewidth=2.5, label='average of the last 100')
    if env is not None:
        ax.set_title(game_name(env))
        solved = solved_score(env)
        if solved is not None:
            ax2.axhline(solved, color='black', linestyle='--', linewidth=1,
                        label=f'solved: {solved:g}')
    fig.legend(loc='outside lower center', ncols=4)
    fig.savefig(filename, dpi=200)


def record_game(agent, env, filename):
    """Play one game in env and write it as a GIF at natural speed.

    It has at most 400 pictures, of at most 400 by 400. The agent's epsilon still
    applies; at 0, no action is random.
    Returns a text: filename and score, or why the game cannot be drawn.
    Raises what agent and game raise while the game is played.

    It seeds env with 0, so that an agent which neither learns nor acts at random plays
    the same game each time. Do not record during training: after each recording, the
    same sequence of games would begin anew.
    """
    if 'rgb_array' not in env.metadata.get('render_modes', []):
        return f'no {filename}: the game has no render mode rgb_array'
    try:
        env.unwrapped.render_mode = 'rgb_array'  # only now: drawing slows training
        fps = env.metadata.get('render_fps') or 30  # steps a second
        skip = max(1, round(fps / 16))  # 16 pictures a second make a small file
        observation, info = env.reset(seed=0)
        small_image(env.render())  # only to see whether the game can be drawn
    except Exception as error:  # whatever another package's game may raise
        return (f'no {filename}: the game cannot be started and drawn: {error!r}. '
                "It may help to put render_mode='rgb_array' inside gym.make(...).")

    frames, n_steps, score = [], 0, 0.0
    done = False
    while not done and len(frames) < 400:
        action = agent.choose_action(np.copy(observation))  # as in training
        observation, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        n_steps += 1
        score += float(reward)
        picture = env.render()  # even if not kept: some games move flames only here
        if n_steps % skip == 0 or done:
            frames.append(small_image(picture))

    # Milliseconds for each picture, in the steps of 10 that a GIF has.
    durations = [round(1000 * skip / fps, -1)] * len(frames)
    durations[-1] = 2000  # the last one stays
    frames[0].save(filename, save_all=True, append_images=frames[1:], loop=0,
                   duration=durations)
    part = 'a game' if done else 'start of a game'
    return f'{filename} ({part}, score {score:.2f})'


def small_image(picture):
    """An image from an array, of at most 400 by 400, in 64 colours."""
    return ImageOps.contain(Image.fromarray(picture), (400, 400)).quantize(colors=64)
