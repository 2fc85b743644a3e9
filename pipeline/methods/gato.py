"""Gato (Reed et al. 2022, arXiv 2205.06175): one causal transformer over tokens of everything,
which is shown a demonstration and then acts token by token.

A step is (s_1 … s_D, separator, a_1 … a_A), J tokens of `pipeline/nn/step_tokens.py`. Only actions
are learned: behaviour cloning, without returns. Before a window's steps stand the last P steps of
another recorded episode. In play they are those of the best episode that was trained on, and stay
in view however long an episode lasts. What differs is in docs/planners.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.gato import Settings
from pipeline.data.trajectories import Trajectories
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.beam_search import drawn
from pipeline.nn.kv_cache import KVCache, Positions, join
from pipeline.nn.masking import masked_mean
from pipeline.nn.step_tokens import StepTokens
from pipeline.nn.transformer import Transformer, initialise
from pipeline.observations.batch import Batch

UNKNOWN = -torch.inf
"""Score of a prompt that has not been chosen yet."""


@dataclass(frozen=True)
class Remembered:
    """What is carried from step to step."""

    prompt: KVCache
    """Of the demonstration's P steps."""
    recent: KVCache | None = None
    """Of the last K − 1 steps, without the newest one's action."""
    step: int = 0

    def select(self, rows: Tensor) -> "Remembered":
        """Keep only the episodes `rows`."""
        recent = None if self.recent is None else self.recent.select(rows)
        return replace(self, prompt=self.prompt.select(rows), recent=recent)


class Gato(Learner):
    """The policy; see the module."""

    settings: Settings
    prompt: Tensor
    """(P, J) int64: the demonstration of play."""
    prompt_score: Tensor
    """() of its episode."""
    endings: Tensor
    """(E, P, J) int64: the last steps of every recorded episode; in training only."""
    scores: Tensor
    """(E,) of these."""
    episode: Tensor
    """(T,) int64: of which episode a step is."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (actions,), (self.size,) = spec.actions, spec.shape["state"]
        self.tokens = StepTokens(settings, self.size, actions)
        span = settings.prompt_steps + settings.context_length - 1
        self.transformer = Transformer(settings, span, relative=True)
        self.head = nn.Linear(settings.width, self.tokens.choices)
        initialise(self.head)
        shape = settings.prompt_steps, self.tokens.count
        self.register_buffer("prompt", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("prompt_score", torch.tensor(UNKNOWN))
        if (data := spec.statistics.get("trajectories")) is not None:
            self._learn_from(data)

    def _learn_from(self, data: Trajectories) -> None:
        """Keep the endings of episodes; one that is shorter than P repeats its first step."""
        last = data.starts + data.episode_length - 1
        steps = last[:, None] + np.arange(1 - self.settings.prompt_steps, 1)  # (E, P)
        kept = np.maximum(steps, data.starts[:, None])
        told = (torch.from_numpy(np.asarray(x)[kept]) for x in (data.observations, data.actions))
        known = {"endings": self.tokens(*told), "episode": torch.from_numpy(data.episode)}
        known["scores"] = torch.from_numpy(data.score.astype(np.float32))
        for name, buffer in known.items():
            self.register_buffer(name, buffer, persistent=False)

    # Losses.

    def logits(self, prompt: Tensor, prompted: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Of every action token of the steps `tokens` (B, K, J), real by `mask`, after prompts (B,
        P, J), real where `prompted` (B,): (B, K, A, choices).
        """
        steps = prompt.shape[1] + tokens.shape[1]
        real = torch.cat((prompted[:, None].expand(-1, prompt.shape[1]), mask), dim=1)
        hidden, _ = self.transformer(
            self.tokens.embed(torch.cat((prompt, tokens), dim=1)),
            Positions.of_steps(0, steps, self.tokens.count),
            real.repeat_interleave(self.tokens.count, dim=1),
        )
        of_window = hidden.unflatten(1, (steps, -1))[:, prompt.shape[1] :, self.size : -1]
        read: Tensor = self.head(of_window).float()
        return read

    def loss(self, batch: Batch, prompt: Tensor, prompted: Tensor) -> tuple[Tensor, Tensor]:
        """The mean cross-entropy of action tokens, and their logits (B, K, A, choices)."""
        tokens = self.tokens(batch.observation["state"], batch.actions)
        read = self.logits(prompt, prompted, tokens, batch.mask)
        error = functional.cross_entropy(
            read.flatten(0, 2), tokens[..., self.size + 1 :].flatten(), reduction="none"
        )
        return masked_mean(error.view(read.shape[:3]).mean(dim=-1), batch.mask), read

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """Prompts are the endings of the batch's other episodes; the best of all is kept."""
        own = self.episode[batch.index]
        best = own[self.scores[own].argmax()]
        if self.scores[best] > self.prompt_score:
            self.prompt.copy_(self.endings[best])
            self.prompt_score.copy_(self.scores[best])
        other = own.roll(1)
        share = torch.rand(len(own)).to(own.device) < self.settings.prompt_share
        yield "policy", self.loss(batch, self.endings[other], share & (other != own))[0]

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do with the prompt of play, each component after the recorded ones before
        it; and the loss.
        """
        prompt = self.prompt.expand(len(batch.mask), -1, -1)
        loss, read = self.loss(batch, prompt, self._shown().expand(len(prompt)))
        if self.tokens.bounds is None:
            return read[:, :, 0], {"loss": loss}
        return self.tokens.actions(read.argmax(dim=-1)), {"loss": loss}

    def _shown(self) -> Tensor:
        """(1,) bool: whether there is a demonstration."""
        return self.prompt_score[None] > UNKNOWN

    # Act.

    def start(self, episodes: int) -> Remembered:
        """The demonstration has been seen."""
        with torch.no_grad():
            positions = Positions.of_steps(0, self.settings.prompt_steps, self.tokens.count)
            x = self.tokens.embed(self.prompt[None])
            _, cache = self.transformer(x, positions, self._shown().expand(1, x.shape[1]))
        return Remembered(cache.select(torch.zeros(episodes, dtype=torch.int64)))

    def act(self, moment: Moment, state: Remembered) -> tuple[Tensor, Remembered]:  # type: ignore[override]
        """Token by token: the last action as it was played, the state, then an action."""
        new, now = self.tokens.of_states(moment.observation["state"]), state.step
        x = [self.tokens.embed(functional.pad(new, (0, 1)))]  # and the separator
        if now:
            x.insert(
                0, self.tokens.embed(self.tokens.of_actions(moment.previous_action), self.size + 1)
            )
        recent, prompt = self._in_view(state)
        hidden, recent = self._fed(torch.cat(x, dim=1), now, self.size + 1, prompt, recent)
        kept = replace(state, recent=recent, step=now + 1)
        if self.tokens.bounds is None:
            return self.head(hidden).float(), kept
        temperature, tokens = self.settings.token_temperature, list[Tensor]()
        noise = moment.noise(self.tokens.components) if temperature else None
        for place in range(self.size + 1, self.tokens.count):
            if tokens:
                token = self.tokens.embed(tokens[-1][:, None, None], place - 1)
                hidden, recent = self._fed(token, now, place, prompt, recent)
            logits = self.head(hidden).float()
            if noise is None:
                tokens.append(logits.argmax(dim=-1))
            else:
                likely = (logits / temperature).softmax(dim=-1)
                tokens.append(drawn(likely, noise[:, len(tokens)]))
        return self.tokens.actions(torch.stack(tokens, dim=-1)), kept

    def _in_view(self, state: Remembered) -> tuple[KVCache | None, KVCache]:
        """The last K − 1 steps, and the demonstration as if it had ended just before them: keys and
        values do not depend on where they stand.
        """
        first = max(0, state.step - self.settings.context_length + 1)
        prompt, steps = state.prompt, self.settings.prompt_steps
        positions = Positions.of_steps(first - steps, steps, self.tokens.count)
        recent = None if state.recent is None else state.recent.since(first)
        return recent, replace(prompt, positions=positions)

    def _fed(
        self, x: Tensor, step: int, count: int, prompt: KVCache, recent: KVCache | None
    ) -> tuple[Tensor, KVCache]:
        """Hidden states (B, width) after the tokens `x`, with which `step` has `count` of its
        tokens, and what is recent then.
        """
        end = step * self.tokens.count + count
        order = torch.arange(end - x.shape[1], end)
        past = prompt if recent is None else join(prompt, recent)
        positions = Positions(order, order // self.tokens.count)
        hidden, own = self.transformer(x, positions, None, None, past)
        return hidden[:, -1], own if recent is None else join(recent, own)
