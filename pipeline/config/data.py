"""The sections of the configuration that say what is played and where its data come from."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.section import RunSeed, Section

MOST_NOOPS = 10_000
"""Emulator frames that an episode may begin with: nearly three minutes."""
Screen = Literal["maximum", "last", "last_jpeg", "grey_84"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
CLIPPED = "rewards clipped"
"""In the description of data whose returns are not on the scale of scores that are played."""


class RenderingConfig(Section):
    """How a simulator's frames are drawn; the consoles of games draw their own."""

    size: int = Field(160, ge=32, le=1024, description="side of a frame in pixels")
    camera: str | None = Field(
        "track", description="of the robot's model; null: a fixed one that sees all of it"
    )
    scenery: Literal["flat", "original"] = Field(
        "flat",
        description="flat: a colour for each part of the robot, no light, tiles of a metre as "
        "ground, so that regions are parts; original: as the model says, without shadows",
    )


class EnvironmentConfig(Section):
    """`config/environments/<environment>.yaml`."""

    family: str = Field(description="module of pipeline/environments/")
    game: str = Field(description="what the family calls the game, e.g. Breakout")
    frame_skip: int = Field(
        4,
        ge=1,
        le=1000,
        description="emulator frames per action; the frame is the maximum of the last two",
    )
    screen: Screen = Field(
        "maximum",
        description="Atari's frames: the maximum of the last two screens; the last screen, as "
        "Gymnasium gives it, or that through JPEG, as in Minari's Atari data; or the maximum in "
        "grey, 84 by 84, as in DQN replay",
    )
    sticky_actions: float = Field(
        0.0, ge=0, le=1, description="probability that the emulator repeats the last action"
    )
    serve: bool = Field(
        True,
        description="press FIRE for the player where an Atari game waits for it, at the start and "
        "after a lost life; a recording is replayed as it was recorded",
    )
    max_noops: int = Field(
        30,
        ge=0,
        le=MOST_NOOPS,
        description="no-op starts: up to so many emulator frames of NOOP after reset",
    )
    random_score: float = Field(
        description="score of random play in the literature, the 0 of normalised scores"
    )
    reference_score: float = Field(
        description="score of the reference (human gamer) in the literature, the 100"
    )
    state_variables: dict[str, int] = Field(
        default={},
        description="name → address in the machine's memory, or place among a simulator's "
        "positions, for the probe of the embeddings",
    )
    prompts: str | None = Field(
        None, description="file of resources/prompts/; default: the game in lower case"
    )
    action_levels: int = Field(
        3, ge=2, description="named levels of a continuous action's components, in its prompts"
    )
    rendering: RenderingConfig = RenderingConfig()
    options: dict[str, bool | int | float | str] = Field(
        default={}, description="keyword arguments of a gymnasium environment"
    )

    @property
    def wording(self) -> str:
        """File of the prompts' sentences, below the resources."""
        return f"prompts/{(self.prompts or self.game).lower()}.yaml"


class DatasetConfig(Section):
    """`config/datasets/<dataset>.yaml`: which episodes, from where."""

    environment: str = Field(description="file of config/environments/")
    source: str = Field(description="module of pipeline/data/sources/")
    file: str | list[str] | None = Field(
        None,
        description="what the source reads, below resources/: a recording, or several; "
        "a file in D4RL's layout; the folder of a Minari or DQN replay data set",
    )
    screen: Screen | None = Field(
        None,
        description="the environment's screen, in place of its own, for a source that holds frames",
    )
    name: str | None = Field(
        None, description="Minari's name of a data set, which is downloaded where there is no file"
    )
    sha256: dict[str, Sha256] = Field(
        {}, description="what is known of the source's files: name → SHA-256, checked when read"
    )
    expected_episodes: int | None = Field(
        None, ge=1, description="episodes that the source must hold, before any are selected"
    )
    expected_steps: int | None = Field(
        None, ge=1, description="steps that the source must hold, likewise"
    )
    checkpoints: tuple[int, int] | None = Field(
        None,
        description="first and last checkpoint of a DQN replay data set; default: 0 to the last "
        "one there",
    )
    max_epsilon: float = Field(
        1.0, ge=0, le=1, description="keep episodes recorded with at most this epsilon"
    )
    max_episodes: int | None = Field(
        None, ge=1, description="keep so many episodes, in the recording's order"
    )
    max_steps: int | None = Field(
        None, ge=1, description="keep whole episodes up to so many steps in all"
    )
    fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="keep the first whole episodes up to this share of all steps; of DQN replay, "
        "of the steps of every checkpoint",
    )
    max_episode_steps: int = Field(
        2000, ge=1, description="an episode is cut here, in the data and in evaluation"
    )
    clip_actions: bool = Field(
        False,
        description="of `hdf5` and `minari`: actions out of their bounds are taken to be at them, "
        "and the description of the data says how many; else they are an error",
    )
    episodes: int = Field(0, ge=0, description="episodes to play, for the `scripted` source")
    seed: RunSeed = Field(0, description="seed of the `scripted` source")

    @property
    def files(self) -> list[str]:
        """What the source reads, below a folder of given or, by its name, of downloaded data."""
        if self.file is None:
            return [] if self.name is None else [self.name]
        return [self.file] if isinstance(self.file, str) else self.file
