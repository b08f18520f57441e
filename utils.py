"""What the main script needs besides the agent.

That is a check of the actions, a folder for each run, a way to stop early, saving,
the plot, and the recording.
"""
import io
import shutil
import signal
import sys
import time
from contextlib import suppress
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
    Its folder code holds copies of the scripts that run.
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
    try:
        copy_running_scripts(folder / 'code')
    except BaseException:  # a full disk, or Ctrl-C: then there is no run
        shutil.rmtree(folder)
        raise
    return folder


def copy_running_scripts(folder):
    """Make a folder with copies of the main script and of the modules beside it.

    Only what was imported is copied, from the main script's folder and from that of
    this script. If the main script is no file, as in a notebook's cell, that is said.
    """
    folder.mkdir()
    homes = {Path(__file__).parent}
    main = Path(getattr(sys.modules['__main__'], '__file__', None) or '')
    if main.is_file():
        homes.add(main.parent)
    else:
        print(f'{folder} has no main script, since what runs is not a file')
    for module in list(sys.modules.values()):
        script = Path(getattr(module, '__file__', None) or '')
        if script.parent in homes and script.is_file():
            shutil.copyfile(script, folder / script.name)


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
    """Save a network's weights.

    Raises ValueError if a weight is NaN or infinite, and OSError if the file cannot be
    written; then the old file stays as it was.
    """
    weights = network.state_dict()
    if not all(weight.isfinite().all() for weight in weights.values()):
        raise ValueError(
            f"{filename} is not saved: the network's weights are NaN or infinite. "
            'A smaller learning rate or smaller rewards may help.')
    memory = io.BytesIO()  # if T.save wrote the file, it would hide the real error
    T.save(weights, memory)
    write_whole(memory.getvalue(), filename)


def write_whole(data, filename):
    """Write bytes to a file. Whoever reads it meanwhile sees the old or the new one.

    Raises OSError if it cannot be written; then the old file stays as it was.
    """
    part = Path(f'{filename}.part')
    try:
        part.write_bytes(data)
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
    env: the game; its name is the title, and the score that solves it a line. Other
        runs of the game are drawn as well, if their folders lie beside the file's.
    """
    # Not pyplot: a Figure alone needs no display and leaves nothing open.
    fig = Figure(figsize=(6, 3.8), layout='constrained')
    ax = fig.add_subplot(xlabel='Game', ylabel='Epsilon')
    ax.locator_params(axis='x', integer=True, min_n_ticks=1)
    ax2 = ax.twinx()
    ax2.set_ylabel('Score')

    ax.plot(x, epsilons, color='C0', label='epsilon')
    ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    ax2.plot(x, averages(scores), color='C3', linewidth=2.5,
             label='average of the last 100')
    if env is not None:
        ax.set_title(game_name(env))
        solved = solved_score(env)
        if solved is not None:
            ax2.axhline(solved, color='black', linestyle='--', linewidth=1,
                        label=f'solved: {solved:g}')
    fig.legend(loc='outside lower center', ncols=4)
    if env is not None:
        folder = Path(filename).resolve().parent
        others = runs_of(game_name(env), folder.parent)
        others.pop(folder.name, None)
        plot_averages(ax2, others, 'averages of other runs')

    picture = io.BytesIO()
    fig.savefig(picture, dpi=200, format=Path(filename).suffix[1:] or 'png')
    write_whole(picture.getvalue(), filename)


def plot_so_far(scores, epsilons, filename, env):
    """Plot the games played so far; see plot_learning_curve.

    An error here does not end the run: the plot at its end tells it.
    """
    with suppress(Exception):
        plot_learning_curve(range(1, len(scores) + 1), scores, epsilons, filename, env)


def compare_runs(game):
    """Plot the averages of the runs of a game, such as 'LunarLander'.

    The folder runs must be in the current folder; it gets the plot, LunarLander.png.
    Raises ValueError if there is no run of the game.
    """
    runs = runs_of(game, Path('runs'))
    if not runs:
        raise ValueError(f'game must have a run in {Path("runs")}, got {game!r}')
    fig = Figure(figsize=(6, 3.8), layout='constrained')
    ax = fig.add_subplot(xlabel='Game', ylabel='Average of the last 100 games')
    plot_averages(ax, runs, 'runs')
    fig.savefig(Path('runs', f'{game}.png'), dpi=200)


def runs_of(game, folder):
    """The runs of a game in a folder: {name: scores}, the last changed at the end.

    A run is a folder named after the game, such as LunarLander-2, with a scores.txt.
    """
    files = [*folder.glob(f'{game}/scores.txt'), *folder.glob(f'{game}-*/scores.txt')]
    files.sort(key=lambda file: file.parent.stat().st_mtime)
    return {file.parent.name: read_scores(file) for file in files}


def plot_averages(ax, runs, title):
    """Plot the averages of runs, thin and in the background, with a legend.

    Of more than six runs only the last six are plotted, and none without a score.
    """
    runs = [(name, scores) for name, scores in runs.items() if scores][-6:]
    colors = ['C2', 'C4', 'C5', 'C6', 'C8', 'C9']  # a learning curve has the others
    lines = []
    for (name, scores), color in zip(runs, colors):
        lines += ax.plot(range(1, len(scores) + 1), averages(scores), color=color,
                         linewidth=1, zorder=1, label=name)
    if lines:
        ax.figure.legend(handles=lines, title=title, loc='outside upper center',
                         ncols=3, fontsize='small', title_fontsize='small')


def averages(scores):
    """For each game the average of the last 100 scores, or of fewer at first."""
    return [np.mean(scores[max(0, i - 99):i + 1]) for i in range(len(scores))]


def read_scores(file):
    """The scores in a scores.txt, up to the first line that does not begin with one."""
    scores = []
    with suppress(OSError, ValueError, IndexError):
        for line in file.read_text().splitlines():
            scores.append(float(line.split()[0]))
    return scores


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
