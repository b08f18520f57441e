"""What the main script needs besides the agent: Ctrl-C, the plot, the recording."""
import os
import signal
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as T
from matplotlib.figure import Figure
from PIL import Image


def games_until_ctrl_c(n_games):
    """Yield the games' numbers, 1 to n_games; after Ctrl-C the current one is the last.

    The program then goes on after its loop; a second Ctrl-C ends it at once. Python's
    own handling of Ctrl-C is not put back. To be called in the main thread.
    """
    interrupted = False

    def handle(signum, frame):
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Not print: Ctrl-C may have come in the middle of one.
        os.write(1, b'Ctrl-C: finishing this game, then saving; again ends at once\n')

    signal.signal(signal.SIGINT, handle)
    for i in range(1, n_games + 1):
        yield i
        if interrupted:
            print(f'stopped after {i} of {n_games} games', flush=True)
            return


def plot_learning_curve(x, scores, epsilons, filename, reward_threshold=None):
    """Plot epsilon (left axis) and scores (right axis) over games to an image file.

    x, scores, epsilons: one entry a game. filename: its stem becomes the title.
    reward_threshold: score that counts as solved, drawn as a line; None draws none.
    """
    averages = [np.mean(scores[max(0, i - 99):i + 1]) for i in range(len(scores))]

    # A Figure of its own, unknown to pyplot: no display, nothing global, nothing open.
    fig = Figure(figsize=(7, 4.4), layout='constrained')
    ax = fig.subplots()
    ax2 = ax.twinx()
    ax.set_title(f'Deep Q-learning: {Path(filename).stem}')
    ax.set_xlabel('Game')
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.set_ylabel('Epsilon', color='C0')
    ax.tick_params(axis='y', colors='C0')
    ax.set_ylim(-0.02, 1.02)
    ax2.set_ylabel('Score')

    lines = ax.plot(x, epsilons, color='C0', label='epsilon')
    lines += ax2.plot(x, scores, '.', color='C1', alpha=0.3, label='score')
    lines += ax2.plot(x, averages, color='C3', linewidth=2.5,
                      label='average of the last 100 games')
    if reward_threshold is not None:
        lines.append(ax2.axhline(reward_threshold, color='gray', linewidth=1,
                                 label=f'solved: {reward_threshold:g}'))
    fig.legend(handles=lines, loc='outside lower center', ncols=4)
    fig.savefig(filename, dpi=200)


def record_game(agent, env, filename):
    """Play one greedy game of env, made anew, and write it as a GIF at natural speed.

    The network alone decides: agent.epsilon, memory and random generator stay as they
    are. Always the same start (seed 0); at most 400 pictures, about 1 MB.
    """
    try:
        game = gym.make(env.spec, render_mode='rgb_array')
        observation, _ = game.reset(seed=0)
        Image.fromarray(game.render())
    except Exception as error:  # whatever it is, it must not end the run
        print(f'no {filename}: {env.spec.id} offers no picture ({error})')
        return

    fps = game.metadata.get('render_fps', 30)
    skip = max(1, round(fps / 16))  # 16 pictures a second are smooth, and a small file
    frames = []
    score, step, done = 0, 0, False
    while not done and len(frames) < 400:
        state = T.as_tensor(observation, dtype=T.float32).to(agent.Q_eval.device)
        with T.no_grad():
            action = T.argmax(agent.Q_eval.forward(state)).item()
        observation, reward, terminated, truncated, _ = game.step(action)
        done = terminated or truncated
        score += reward
        picture = game.render()  # at every step: else LunarLander's flames pile up
        if step % skip == 0 or done:
            frame = Image.fromarray(picture)
            frame.thumbnail((400, 400))
            frames.append(frame.quantize(64, dither=Image.Dither.NONE))
        step += 1
    game.close()

    # GIF counts in 10 ms: rounding the moments, not the gaps, keeps the speed.
    moments = 10 * np.round(np.arange(len(frames)) * 100 * skip / fps)
    frames[0].save(filename, save_all=True, append_images=frames[1:], loop=0,
                   duration=[*np.diff(moments), 2000])
    print(f'saved {"one" if done else "the start of a"} greedy game, '
          f'score {score:.2f}, as {filename}')
