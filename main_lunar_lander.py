"""Train a lander by deep Q-learning; plot, record and save what it learned."""
import gymnasium as gym
import numpy as np
import torch as T

from simple_dqn_torch import Agent
from utils import games_until_ctrl_c, plot_learning_curve, record_game

if __name__ == '__main__':
    # One thread, so that a run repeats on any number of cores; for a network this
    # small a second one would save a tenth of the time at most.
    T.set_num_threads(1)
    seed = 0
    env = gym.make('LunarLander-v3')
    name = env.spec.name
    agent = Agent(gamma=0.99, epsilon=1.0, batch_size=64,
                  n_actions=env.action_space.n,
                  eps_end=0.03,  # the video: 0.01; more tries, to find a first landing
                  input_dims=env.observation_space.shape,
                  lr=0.0003,  # the video: 0.003, in the end "a little bit too high"
                  seed=seed)
    scores, eps_history = [], []
    n_games = 500
    env.reset(seed=seed)  # seeds the game once; later resets draw on from there

    for i in games_until_ctrl_c(n_games):
        score = 0
        done = False
        observation, info = env.reset()
        while not done:
            action = agent.choose_action(observation)
            observation_, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            score += reward
            # A game cut off by its time limit had a future: it is not terminal.
            agent.store_transition(observation, action, reward,
                                   observation_, terminated)
            agent.learn()
            observation = observation_
        scores.append(score)
        eps_history.append(agent.epsilon)

        avg_score = np.mean(scores[-100:])

        print(f'episode {i} score {score:.2f} average score {avg_score:.2f} '
              f'epsilon {agent.epsilon:.2f}', flush=True)

    T.save(agent.Q_eval.state_dict(), f'{name}.pt')
    print(f'saved the network as {name}.pt')
    x = [i + 1 for i in range(len(scores))]
    plot_learning_curve(x, scores, eps_history, f'{name}.png',
                        env.spec.reward_threshold)
    print(f'saved the learning curve as {name}.png')
    record_game(agent, env, f'{name}.gif')
    env.close()
