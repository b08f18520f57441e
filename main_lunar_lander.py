"""Train a lander by deep Q-learning; save, plot and record what it learned."""
import gymnasium as gym  # the video: gym, which is no longer maintained
import numpy as np
import torch as T

from simple_dqn_torch import Agent
from utils import check_space, plot_learning_curve, record_game, save_network, save_new

if __name__ == '__main__':
    T.set_num_threads(1)  # so that a seed gives the same run on any number of cores
    seed = 77  # another number, or None, gives another run
    env = gym.make('LunarLander-v3')  # the video: v2
    check_space(env.action_space)
    agent = Agent(
        gamma=0.99,  # what a reward is worth if it comes a step later
        epsilon=1.0,  # probability of a random action at first
        batch_size=64,  # transitions in a step of learning; a larger batch takes longer
        n_actions=env.action_space.n,  # 4: no engine, left, main, right
        eps_end=0.01,  # probability of a random action in the end; 0 stops exploring
        input_dims=env.observation_space.shape,  # (8,): it sees eight numbers
        # the video: 0.003; at its end it recommends 0.001 or a little less
        lr=0.001,  # learning rate at first: how far a step of learning moves weights
        # Two more have defaults in Agent, as in the video, but can be set here, too.
        # max_mem_size: transitions remembered; with fewer, it forgets sooner.
        # eps_dec: how much epsilon falls in each step of learning.
        seed=seed)
    scores, eps_history = [], []
    n_games = 500  # the learning rate falls towards 0 over these games
    env.reset(seed=seed)  # not in the video: a seed, for this and all later resets
    name = save_new(agent.Q_eval, env)  # not in the video: saving the weights
    print(f'saving the weights to {name}.pt after each game', flush=True)

    try:  # not in the video: Ctrl-C ends the games
        for i in range(n_games):
            # not in the video: the learning rate starts at lr and falls. It is large
            # at first, to learn fast, and small at the end, to keep what was learned.
            remaining = max(0, 1 - i / n_games)  # share of n_games still to play
            optimizer = agent.Q_eval.optimizer
            optimizer.param_groups[0]['lr'] = optimizer.defaults['lr'] * remaining ** 2
            score = 0
            done = False
            observation, info = env.reset()  # the video: only the observation
            while not done:
                observation = np.copy(observation)  # some games overwrite it
                action = agent.choose_action(observation)
                # the video: one flag, done
                observation_, reward, terminated, truncated, info = env.step(action)
                done = terminated or truncated
                score += float(reward)  # a sum of int8 rewards could overflow
                # the video: done; but a game cut off by time could have gone on
                agent.store_transition(observation, action, reward,
                                       observation_, terminated)
                agent.learn()
                # Without this line every action is chosen for the game's first state.
                observation = observation_
            scores.append(score)
            eps_history.append(agent.epsilon)
            save_network(agent.Q_eval, f'{name}.pt')

            avg_score = np.mean(scores[-100:])

            print(f'episode {i + 1} score {score:.2f} average score {avg_score:.2f} '
                  f'epsilon {agent.epsilon:.2f}', flush=True)
    except KeyboardInterrupt:
        pass  # go on: plot and record
    finally:
        save_network(agent.Q_eval, f'{name}.pt')  # again: a game may have broken off

    x = [i + 1 for i in range(len(eps_history))]
    # [:len(x)]: Ctrl-C can leave a score without its epsilon.
    plot_learning_curve(x, scores[:len(x)], eps_history, f'{name}.png', env)
    agent.epsilon = 0.0  # not in the video: a recorded game, without random actions
    print(f'saved {name}.pt, {name}.png and', record_game(agent, env, f'{name}.gif'))
    env.close()
