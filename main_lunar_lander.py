"""Train a lander by deep Q-learning; plot, record and save what it learned."""
import gymnasium as gym  # the video: gym, which is no longer maintained
import numpy as np
import torch as T

from simple_dqn_torch import Agent
# the video: only plot_learning_curve, from the author's own repository
from utils import (check_run, games_until_ctrl_c, plot_learning_curve, record_game,
                   save_network)

if __name__ == '__main__':
    T.set_num_threads(1)  # not in the video: a run repeats on any number of cores
    # not in the video: numbers below 1e-38 become 0, because they slow a CPU down
    T.set_flush_denormal(True)
    seed = 0
    env = gym.make('LunarLander-v3')  # the video: v2
    name = env.spec.name  # not in the video: another name keeps an earlier run's files
    agent = Agent(gamma=0.99, epsilon=1.0, batch_size=64,
                  n_actions=env.action_space.n, eps_end=0.03,  # the video: 4 and 0.01
                  input_dims=env.observation_space.shape,  # the video: [8]
                  lr=0.0003, lr_decay=1,  # the video: 0.003, "a little bit too high"
                  max_mem_size=100000, eps_dec=5e-4, seed=seed)
    scores, eps_history = [], []
    n_games = 500
    check_run(name, n_games)  # not in the video
    env.reset(seed=seed)  # not in the video: later resets go on from this seed

    for i in games_until_ctrl_c(n_games):  # the video: range(n_games), from 0
        score = 0
        done = False
        observation, info = env.reset()  # the video: only the observation
        while not done:
            action = agent.choose_action(observation)
            # the video: one flag, done
            observation_, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            score += reward
            # the video: done; but a game cut off by its time limit could have gone on
            agent.store_transition(observation, action, reward,
                                   observation_, terminated)
            agent.learn()
            observation = observation_
        scores.append(score)
        eps_history.append(agent.epsilon)

        avg_score = np.mean(scores[-100:])

        print(f'episode {i} score {score:.2f} average score {avg_score:.2f} '
              f'epsilon {agent.epsilon:.2f}', flush=True)

    save_network(agent.Q_eval, name)  # not in the video
    x = [i + 1 for i in range(len(scores))]
    plot_learning_curve(x, scores, eps_history, f'{name}.png',
                        env.spec.reward_threshold)
    record_game(agent, env, f'{name}.gif')  # not in the video
    env.close()
