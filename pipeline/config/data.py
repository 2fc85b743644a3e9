"""The sections of the configuration that say what is played and where its data come from."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline.config.section import Distinct, RunSeed, Section

MOST_NOOPS = 10_000
"""Emulator frames that an episode may begin with: nearly three minutes."""
Screen = Literal["maximum", "last", "last_jpeg", "grey_84"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Checkpoint = Annotated[int, Field(ge=0)]
CLIPPED = "rewards clipped"
"""In the description of data whose returns are not on the scale of scores that are played."""


def _in_order(given: tuple[int, int]) -> tuple[int, int]:
    if given[0] > given[1]:
        raise ValueError(f"{given[0]} comes after {given[1]}; name the first one first")
    return given


class RenderingConfig(Section):
    """How a simulator's frames are drawn; the consoles of games draw their own."""

    size: int = Field(160, ge=32, le=1024, description="width and height of a frame in pixels")
    camera: str | None = Field(
        "track",
        description="name of a camera in the robot's model; null: a fixed camera that sees the "
        "whole robot",
    )
    scenery: Literal["flat", "original"] = Field(
        "flat",
        description="flat: one colour for each part of the robot, no light, and tiles of one metre "
        "as ground, so that regions are parts; original: the look of the model, without shadows",
    )


class EnvironmentConfig(Section):
    """`config/environments/<environment>.yaml`."""

    family: str = Field(description="module of pipeline/environments/")
    game: str = Field(description="name of the game in its family, such as Breakout")
    frame_skip: int = Field(
        4,
        ge=1,
        le=1000,
        description="emulator frames per action; the frame is the maximum of the last two",
    )
    screen: Screen = Field(
        "maximum",
        description="how an Atari frame is made. maximum: of the last two screens; last: the last "
        "screen, as in Gymnasium; last_jpeg: the last screen through JPEG, as in Minari's Atari "
        "data; grey_84: the maximum in grey, 84 by 84, as in DQN replay",
    )
    sticky_actions: float = Field(
        0.0, ge=0, le=1, description="probability that the emulator repeats the last action"
    )
    serve: bool = Field(
        True,
        description="press FIRE for the player where an Atari game waits for it: at the start and "
        "after a lost life; a recording is replayed as it was recorded",
    )
    max_noops: int = Field(
        30,
        ge=0,
        le=MOST_NOOPS,
        description="no-op starts: at most this many emulator frames of NOOP after a reset",
    )
    random_score: float = Field(
        description="score of random play in the literature; 0 on the normalised scale"
    )
    reference_score: float = Field(
        description="score of the reference (human gamer) in the literature; 100 on the normalised "
        "scale",
    )
    state_variables: dict[str, int] = Field(
        default={},
        description="for the probe of the embeddings: name → address in the console's memory, or "
        "index among a simulator's positions",
    )
    prompts: str | None = Field(
        None, description="file of resources/prompts/; default: the game in lower case"
    )
    action_levels: int = Field(
        3,
        ge=2,
        description="number of levels that a prompt distinguishes in each component of a "
        "continuous action",
    )
    rendering: RenderingConfig = RenderingConfig()
    options: dict[str, bool | int | float | str | list[float]] = Field(
        default={}, description="settings of a robot's class in gymnasium, such as healthy_reward"
    )

    @property
    def wording(self) -> str:
        """File of the prompts' sentences, below the resources."""
        return wording(self.prompts or self.game)


def wording(game: str) -> str:
    """File of a game's sentences, below the resources."""
    return f"prompts/{game.lower()}.yaml"


class DatasetConfig(Section):
    """`config/datasets/<dataset>.yaml`: which episodes, from where."""

    environment: str = Field(description="file of config/environments/")
    source: str = Field(description="module of pipeline/data/sources/")
    file: str | list[str] | None = Field(
        None,
        description="path below resources/ that the source reads: one or several recordings, a "
        "file in D4RL's layout, or the folder of a Minari or DQN replay data set",
    )
    screen: Screen | None = Field(
        None,
        description="replaces the environment's `screen`, for a source that holds frames",
    )
    name: str | None = Field(
        None, description="Minari's name of a data set; it is downloaded if `file` is not given"
    )
    sha256: dict[str, Sha256] = Field(
        {},
        description="known hashes of the source's files, checked when they are read: name → "
        "SHA-256",
    )
    expected_episodes: int | None = Field(
        None,
        ge=1,
        description="number of episodes that the source must hold, before any are selected",
    )
    expected_steps: int | None = Field(
        None, ge=1, description="number of steps that the source must hold, before any are selected"
    )
    checkpoints: Annotated[tuple[Checkpoint, Checkpoint], AfterValidator(_in_order)] | None = Field(
        None,
        description="first and last checkpoint of a DQN replay data set; default: all that are "
        "there",
    )
    max_epsilon: float = Field(
        1.0,
        ge=0,
        le=1,
        description="keep only episodes that were recorded with at most this share of random "
        "actions",
    )
    max_episodes: int | None = Field(
        None, ge=1, description="keep at most this many episodes, in the order of the recording"
    )
    max_steps: int | None = Field(
        None, ge=1, description="keep whole episodes up to this many steps in total"
    )
    fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="keep the first whole episodes up to this share of all steps; for DQN replay: "
        "of the steps of every checkpoint",
    )
    max_episode_steps: int = Field(
        2000,
        ge=1,
        description="episodes are cut after this many steps, in the data and in evaluation",
    )
    clip_actions: bool = Field(
        False,
        description="for the sources `hdf5` and `minari`: clip actions to their bounds, and count "
        "them in the description of the data; otherwise such actions are an error",
    )
    episodes: int = Field(
        0, ge=0, description="number of episodes to play, for the source `scripted`"
    )
    seed: RunSeed = Field(0, description="seed of play, for the source `scripted`")

    @property
    def files(self) -> list[str]:
        """What the source reads, below a folder of given or, by its name, of downloaded data."""
        if self.file is None:
            return [] if self.name is None else [self.name]
        return [self.file] if isinstance(self.file, str) else self.file


class TogetherConfig(Section):
    """`config/datasets/<dataset>.yaml` of several games, which one policy is trained on."""

    together: Distinct[str] = Field(
        min_length=1,
        description="other files of config/datasets/, of one family of environments with discrete "
        "actions; a single one is allowed: its policy has the outputs of one of several games",
    )
