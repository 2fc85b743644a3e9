"""The card of a bundle: what a policy is, how it scored, what it was made from, how to load it."""

import numpy as np

from pipeline.evaluation.bundle import Bundle
from pipeline.reporting import statistics
from pipeline.reporting.formatting import count, figure, interval, markdown_grid

OWN_SOURCES = ("recorded", "recorded_states", "scripted")
HEAD = """---
license: {licence}
library_name: more3s
pipeline_tag: reinforcement-learning
tags: [offline-reinforcement-learning, {method}, {game}]
---

# {method} on {dataset}

{opening}

"""
USE = """## Use

```python
import more3s

agent = more3s.load("path/to/this/folder")
env = agent.make()  # plays by the rules above
observation, _ = env.reset(seed=0)
agent.reset(seed=0)  # target_return=… asks for another return than the one above
reward, over = 0.0, False
while not over:
    observation, reward, ended, cut, _ = env.step(agent.act(observation, reward))
    over = ended or cut
```

Nothing in this folder is executed: it holds JSON, a vocabulary and safetensors, and `more3s.load`
compares each file with the SHA-256 in `bundle.json`.
"""


def write(bundle: Bundle, parameters: int, source: str) -> str:
    """The card as Markdown.

    Args:
        bundle: all but its files.
        parameters: of the policy alone.
        source: of the data, a module of `pipeline/data/sources/`.
    """
    licence = "mit" if source in OWN_SOURCES and not bundle.licences else "other"
    method, game = bundle.method.method, bundle.environment.game
    head = HEAD.format(
        licence=licence,
        method=method,
        game=game.lower(),
        dataset=bundle.dataset,
        opening=_opening(bundle),
    )
    sections = [_scores(bundle), _play(bundle), _made_from(bundle, parameters, source), USE]
    return head + "\n".join(sections)


def _opening(bundle: Bundle) -> str:
    variant = "" if bundle.variant == "default" else f", variant `{bundle.variant}`"
    return (
        f"A policy for {bundle.environment.game} ({bundle.environment.family}), trained offline by "
        f"`{bundle.method.method}`{variant}, seed {bundle.seed}, at the scale `{bundle.scale}`."
    )


def _scores(bundle: Bundle) -> str:
    """Its evaluation, beside what others reach."""
    returns = np.array(bundle.returns)
    low, high = statistics.confidence_interval([returns])
    published = bundle.environment
    grid = markdown_grid(
        ["who", "mean return", "95 % interval"],
        [
            ["this policy", figure(returns.mean()), interval(low, high)],
            ["its data, mean of the episodes", figure(bundle.data["mean"]), ""],
            ["its data, best episode", figure(bundle.data["best"]), ""],
            ["random play, as configured", figure(published.random_score), ""],
            ["the reference, as configured", figure(published.reference_score), ""],
        ],
    )
    episodes = count(len(returns), "episode")
    return (
        f"## Scores\n\n{grid}\n\n{episodes} of one training seed: the interval is over these "
        "episodes, and says nothing of how other seeds would do.\n"
    )


def _play(bundle: Bundle) -> str:
    """How it was evaluated, and what it is shown."""
    environment, shown, policy = bundle.environment, bundle.shown, bundle.method.policy
    seen = [f"a frame {shown.frame}, RGB, uint8"] if shown.frame else []
    seen += [f"a state vector of {shown.state} numbers"] if shown.state else []
    lines = [
        f"Observes: {' and '.join(seen)}.",
        f"Actions: {', '.join(bundle.actions)}.",
        f"Chosen by: {bundle.told['sampling']}.",
        f"Frame skip {environment.frame_skip}; cut after {bundle.max_episode_steps:,} steps.",
        *([f"Asked for a return of {bundle.target_return:g}."] if policy.uses_returns else []),
    ]
    return "## Play\n\n" + "".join(f"- {line}\n" for line in lines)


def _made_from(bundle: Bundle, parameters: int, source: str) -> str:
    """Data and weights, and which of them are random or small."""
    data, told = bundle.data, bundle.told
    of_data = (
        "recorded or played for the project, and licensed like it (MIT); they are not the data of "
        "a published benchmark"
        if source in OWN_SOURCES
        else "published by others, under their licence (`docs/data.md` of the project)"
    )
    training = bundle.method.training
    lines = [
        f"Data: {told['data_source']}: {data['episodes']:,.0f} episodes, {data['steps']:,.0f} "
        f"steps; {of_data}.",
        f"Weights: {told['weights']}.",
        f"Size: {parameters:,} parameters, trained for {training.steps:,} updates of "
        f"{training.batch_size} windows.",
        "Where it says `random`, weights were drawn and never trained; where it says `pretrained "
        "here`, they learned from the frames of these data alone.",
        *(
            f"Published weights in it, as safetensors: {name}, licence {licence}."
            for name, licence in bundle.licences.items()
        ),
        f"Versions: {told['versions']}.",
    ]
    return "## Made from\n\n" + "".join(f"- {line}\n" for line in lines)
