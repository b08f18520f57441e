"""Train a lander by deep Q-learning; save, plot and record what it learned."""
import gymnasium as gym  # the video: gym, which is no longer maintained
import numpy as np
import torch as T

from simple_dqn_torch import Agent
from utils import (check_space, new_folder, plot_learning_curve, plot_so_far,
                   record_game, save_network, until_ctrl_c)

if __name__ == '__main__':
    T.set_num_threads(1)  # so that a seed gives the same run on any number of cores
    seed = 77  # another number, or None, gives another run
    env = gym.make('LunarLander-v3')  # the video: v2
    # Wrap env here to change states, actions or ends of games: the recording will have
    # the change, too.
    check_space(env.action_space)
    agent = Agent(
        gamma=0.99,  # a reward that comes one step later counts 0.99 times as much
        epsilon=1.0,  # probability of a random action at first
        batch_size=64,  # transitions in a step of learning; a larger batch takes longer
        n_actions=env.action_space.n,  # 4: no engine, left, main, right
        eps_end=0.01,  # probability of a random action in the end; 0 stops exploring
        input_dims=env.observation_space.shape,  # (8,): it sees eight numbers
        # the video: 0.003; at the end Phil calls it a little too high
        lr=0.001,  # learning rate at first: how far a step of learning moves weights
        seed=seed)  # max_mem_size and eps_dec can be given, too; Agent has defaults
    scores, eps_history = [], []
    n_games = 500  # the learning rate falls towards 0 over these games
    env.reset(seed=seed)  # not in the video: a seed, for this and all later resets
    folder = new_folder(env)  # not in the video: a folder for each run
    print(f'{n_games} games, saving to {folder}; Ctrl-C stops after the running game')

    for i in until_ctrl_c(range(n_games)):  # not in the video: Ctrl-C ends them early
        # not in the video: the learning rate falls towards 0 from the lr given above,
        # which the optimizer keeps in its defaults. Large at first, it learns fast;
        # small at the end, it keeps what was learned. The square makes it fall sooner.
        # max keeps the rate from rising again if you lengthen the loop.
        remaining = max(0, 1 - i / n_games)  # share still to play
        optimizer = agent.Q_eval.optimizer
        optimizer.param_groups[0]['lr'] = optimizer.defaults['lr'] * remaining ** 2
        score = 0.0
        done = False
        observation, info = env.reset()  # the video: only the observation
        while not done:
            observation = np.copy(observation)  # some games overwrite it
            action = agent.choose_action(observation)
            # the video: one flag, done. truncated: a time limit cut the game off.
            observation_, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            # float, since some games give other kinds of numbers. Change rewards only
            # below this line, so that scores keep their units.
            score += float(reward)
            # the video: stores done; but a game cut off by time could have gone on
            agent.store_transition(observation, action, reward,
                                   observation_, terminated)
            agent.learn()
            # Without this line every action is chosen for the game's first state.
            observation = observation_
        scores.append(score)
        eps_history.append(agent.epsilon)

        avg_score = np.mean(scores[-100:])
        with open(folder / 'scores.txt', 'a') as file:  # not in the video
            print(score, agent.epsilon, file=file)
        save_network(agent.Q_eval, folder / 'network.pt')  # not in the video

        if (i + 1) % 25 == 0:  # not in the video: the curve grows while it trains
            plot_so_far(scores, eps_history, folder / 'learning_curve.png', env)

        print(f'episode {i + 1}/{n_games} score {score:.2f} '
              f'average score {avg_score:.2f} epsilon {agent.epsilon:.2f}', flush=True)

    x = [i + 1 for i in range(len(scores))]
    plot_learning_curve(x, scores, eps_history, folder / 'learning_curve.png', env)
    print(f'saved network.pt, scores.txt, learning_curve.png in {folder}', flush=True)
    agent.epsilon = 0.0  # not in the video: a recorded game, without random actions
    print(record_game(agent, env, folder / 'recording.gif'))
    env.close()
