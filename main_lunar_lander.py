"""Train a lander by deep Q-learning; plot, record and save what it learned."""
import gymnasium as gym  # the video: gym, which is no longer maintained
import numpy as np
import torch as T

from simple_dqn_torch import Agent
from utils import check_run, plot_learning_curve, record_game, save_network

if __name__ == '__main__':
    T.set_num_threads(1)  # a seed then gives the same result on any number of cores
    seed = 52
    n_games = 500
    # the video: 0.003; at its end it recommends 0.001
    lr = 0.0002  # learning rate at first; larger takes larger, less steady steps
    env = gym.make('LunarLander-v3')  # the video: v2
    check_run(env)
    agent = Agent(
        gamma=0.99,  # worth of a reward one step later; closer to 1, it looks further
        epsilon=1.0,  # share of random actions at first; with less, it explores less
        batch_size=64,  # transitions in a step of learning; with more, it takes longer
        n_actions=env.action_space.n,  # 4: no engine, left, main, right
        eps_end=0.01,  # share of random actions in the end; at 0, it stops exploring
        input_dims=env.observation_space.shape,  # (8,): it sees eight numbers
        lr=lr,
        max_mem_size=100000,  # transitions remembered; with fewer, it forgets sooner
        eps_dec=5e-4,  # a step of learning takes this off epsilon; less explores longer
        seed=seed)
    scores, eps_history = [], []
    env.reset(seed=seed)  # not in the video: a seed, for this and all later resets

    try:  # not in the video: after Ctrl-C or an error, what was learned is saved
        for i in range(n_games):
            # not in the video: the learning rate falls to 0, to keep what was learned.
            agent.Q_eval.optimizer.param_groups[0]['lr'] = lr * (1 - i / n_games)
            score = 0
            done = False
            observation, info = env.reset()  # the video: only the observation
            while not done:
                observation = np.copy(observation)  # some games reuse this array
                action = agent.choose_action(observation)
                # the video: one flag, done
                observation_, reward, terminated, truncated, info = env.step(action)
                done = terminated or truncated
                score += float(reward)  # a sum of int8 rewards could overflow
                # the video: done; but at its time limit a game could have gone on
                agent.store_transition(observation, action, reward,
                                       observation_, terminated)
                agent.learn()
                # Without this line every action is chosen for the game's first state.
                observation = observation_
            scores.append(score)
            eps_history.append(agent.epsilon)

            avg_score = np.mean(scores[-100:])

            print(f'episode {i + 1} score {score:.2f} average score {avg_score:.2f} '
                  f'epsilon {agent.epsilon:.2f}', flush=True)
    except KeyboardInterrupt:
        pass  # Ctrl-C is no error: it ends the games
    finally:
        if scores:
            name = save_network(agent.Q_eval, env)  # not in the video
            x = [i + 1 for i in range(len(scores))]
            plot_learning_curve(x, scores, eps_history, f'{name}.png', env.spec)
            recording = record_game(agent, env, f'{name}.gif')  # not in the video
            print(f'saved {name}.pt, {name}.png and {recording}')
        else:
            print('nothing to save: no game was finished')
        env.close()
