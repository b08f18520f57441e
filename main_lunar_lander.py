"""Train a lander by deep Q-learning; plot, record and save what it learned."""
import gymnasium as gym  # the video: gym, which is no longer maintained
import numpy as np
import torch as T

from simple_dqn_torch import Agent
# the video: only plot_learning_curve, from the author's own repository
from utils import check_run, plot_learning_curve, record_game, save_network

if __name__ == '__main__':
    T.set_num_threads(1)  # not in the video: the same course on any number of cores
    seed = 0
    n_games = 500
    env = gym.make('LunarLander-v3')  # the video: v2
    check_run(env, n_games)  # not in the video: refuses what cannot work
    # the video: 4 actions, 8 inputs; learning rate 0.003, "a little bit too high"
    agent = Agent(gamma=0.99, epsilon=1.0, batch_size=64, n_actions=env.action_space.n,
                  eps_end=0.01, input_dims=env.observation_space.shape, lr=0.0001,
                  max_mem_size=100000, eps_dec=5e-4, seed=seed)
    scores, eps_history = [], []
    env.reset(seed=seed)  # not in the video: seeds the games; later resets go on

    try:  # not in the video: Ctrl-C or an error ends the games, then all is saved
        for i in range(n_games):
            score = 0
            done = False
            observation, info = env.reset()  # the video: only the observation
            while not done:
                # not in the video: some games change the array they returned
                observation = np.copy(observation)
                action = agent.choose_action(observation)
                # the video: one flag, done
                observation_, reward, terminated, truncated, info = env.step(action)
                done = terminated or truncated
                score += reward
                # the video: done; but a game stopped by its time limit could go on
                agent.store_transition(observation, action, reward,
                                       observation_, terminated)
                agent.learn()
                observation = observation_
            scores.append(score)
            eps_history.append(agent.epsilon)

            avg_score = np.mean(scores[-100:])

            print(f'episode {i + 1} score {score:.2f} average score {avg_score:.2f} '
                  f'epsilon {agent.epsilon:.2f}', flush=True)
    except KeyboardInterrupt:
        pass  # Ctrl-C is no error: it ends the games, and the files are saved below
    finally:
        if scores:
            name = save_network(agent.Q_eval, env)  # not in the video
            x = [i + 1 for i in range(len(scores))]
            # not in the video: env.spec, which says at what score the game is solved
            plot_learning_curve(x, scores, eps_history, f'{name}.png', env.spec)
            recording = record_game(agent, env, f'{name}.gif')  # not in the video
            print(f'saved {name}.pt, {name}.png and {recording}')
        else:
            print('nothing to save: no game was finished')
        env.close()
