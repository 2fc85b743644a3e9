"""The configuration's schema: frozen, strict, documented; `load` reads it from disk. The
sections on data are in `data`, on play in `evaluation`, those of tables in `table`; known here too.

Each stage receives only its own part as JSON with sorted keys (`as_json`, `Model.from_json`), so
that reordering or editing an unrelated section re-runs nothing. The driver imports this: no torch.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator

from pipeline.config.data import DatasetConfig as DatasetConfig
from pipeline.config.data import EnvironmentConfig as EnvironmentConfig
from pipeline.config.data import RenderingConfig as RenderingConfig
from pipeline.config.data import TogetherConfig as TogetherConfig
from pipeline.config.evaluation import ActionRule as ActionRule
from pipeline.config.evaluation import EvaluationConfig as EvaluationConfig
from pipeline.config.methods import Activation, MethodSettings, settings_class
from pipeline.config.section import Section as Section
from pipeline.config.section import Seed, only
from pipeline.config.table import OpenLoopConfig as OpenLoopConfig
from pipeline.config.table import SweepConfig as SweepConfig
from pipeline.config.table import TableConfig as TableConfig
from pipeline.config.table import TimingConfig as TimingConfig

Share = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["float32", "bfloat16"]
TrainingPrecision = Literal["float32", "bfloat16", "native"]
"""`native`: bfloat16 where the processor or card multiplies it itself, float32 where it would have
to be imitated, which takes several times as long.
"""


Device = Annotated[
    str, Field(pattern=r"^(auto|cpu|cuda|cuda:\d+)$"), only("auto, cpu, cuda, cuda:N")
]
Placing = Literal["ends", "starts", "shifted"]
"""Where windows lie in an episode: see `TrainingConfig.windows`."""


class DetectorConfig(Section):
    """The detector of one features file."""

    name: str = Field("fast_rcnn", description="module of pipeline/vision/detectors/")
    regions: int = Field(36, ge=1, description="N: regions per frame, padded and masked")
    feature_size: int = Field(64, ge=1, description="F: length of a RoI feature")
    seed: Seed = Field(0, description="seed of the backbone's random weights")
    published: str | None = Field(
        None,
        description="artefact of config/artefacts.csv with the detector's weights, for those that "
        "take one; default: random weights",
    )
    precision: Precision = Field(
        "float32", description="precision of matrix products and convolutions"
    )

    @property
    def weights(self) -> str:
        """What the weights are, as tables print it."""
        return f"{self.name} {_published(self.published) or 'random'}"


def _published(artefact: str | None) -> str | None:
    """How tables name weights that others have published."""
    return f"published ({artefact})" if artefact else None


class EncoderConfig(Section):
    """The LXMERT of one features file; paper scale is 768/12/9/5/5."""

    name: str = Field("lxmert", description="module of pipeline/features/encoders/")
    width: int = Field(128, ge=8)
    heads: int = Field(4, ge=1)
    language_layers: int = Field(2, ge=1)
    relationship_layers: int = Field(1, ge=1)
    cross_layers: int = Field(1, ge=1)
    text_tokens: int = Field(
        20, ge=4, description="L: prompt length in word pieces, padded and masked"
    )
    box_frequencies: int = Field(
        6,
        ge=0,
        le=16,
        description="number of sines and cosines that encode each box coordinate; 0: the "
        "coordinate itself, which published weights need",
    )
    published: str | None = Field(
        None,
        description="artefact of config/artefacts.csv with the initial weights and the vocabulary; "
        "default: random weights",
    )
    seed: Seed = Field(0, description="seed of the initial weights and of pretraining")
    pretraining_steps: int = Field(
        600, ge=0, description="0: the encoder keeps its initial weights, random or published"
    )
    pretraining_batch: int = Field(64, ge=1)
    pretraining_learning_rate: float = Field(3e-4, gt=0)

    @property
    def weights(self) -> str:
        """What the weights are, as tables print it."""
        trained = "pretrained here" if self.pretraining_steps else None
        origin = filter(None, (_published(self.published), trained))
        return f"{self.name} {', then '.join(origin) or 'random'}"


class FeaturesConfig(Section):
    """`config/features/<features>.yaml`: stage one from frame to cached embedding."""

    detector: DetectorConfig = DetectorConfig()
    prompt_set: Literal["original", "synonym", "contextual", "none"] = Field(
        "original", description="none: one sentence for all actions"
    )
    encoder: EncoderConfig = EncoderConfig()
    pairing: Literal["previous_action", "same_step"] = Field(
        "previous_action",
        description="decision D1: O_t = O(s_t, a_{t-1}); same_step leaks a_t, only for ablation",
    )
    storage: Literal["tokens", "pooled"] = Field(
        "tokens", description="decision D2: all tokens, or a mean per modality"
    )
    encoding_batch: int = Field(128, ge=1)
    precision: Precision = Field(
        "float32",
        description="precision of the encoder's matrix products, in the cache and in play",
    )

    @property
    def weights(self) -> str:
        """What the weights of stage one are, as tables print it."""
        return f"{self.detector.weights}, {self.encoder.weights}"


class LanguageModelConfig(Section):
    """`config/language_models/<language_model>.yaml`: a transformer that learns to write first.

    Width, layers, heads and activation have to be those of the policies that begin with it. One
    that was published is not trained, and the settings of text and training say nothing about it.
    """

    published: str | None = Field(
        None, description="artefact of config/artefacts.csv: a GPT-2, whose first layers are taken"
    )
    source: str = Field("python_docs", description="module of pipeline/language/texts/")
    name: str | None = Field(
        None,
        description="name of the text: the path of a file, or the name of a data set on the hub",
    )
    subset: str | None = Field(None, description="a hub data set's configuration")
    revision: str | None = Field(None, description="a hub data set's commit")
    vocabulary: str | None = Field(
        None,
        description="folder with GPT-2's vocab.json and merges.txt; default: a byte-pair encoding "
        "trained on the text",
    )
    vocabulary_size: int = Field(
        4096, ge=257, description="size of a byte-pair encoding trained here"
    )
    width: int = Field(128, ge=8)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    activation: Activation = "gelu"
    dropout: float = Field(0.1, ge=0, lt=1)
    context_length: int = Field(64, ge=2, description="number of tokens in a training sequence")
    tokens_per_batch: int = Field(8192, ge=2)
    steps: int = Field(600, ge=1)
    warmup_steps: int = Field(60, ge=0)
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    precision: TrainingPrecision = "float32"
    held_out_fraction: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="share of the text, taken from its end, on which perplexity is measured",
    )
    evaluate_every: int = Field(50, ge=1, description="steps between rows of the curve")
    seed: Seed = 0


class TrainingConfig(Section):
    """One training loop for every method."""

    steps: int = Field(
        2000, ge=0, description="number of updates; 0: the policy stays as it begins"
    )
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(6e-4, gt=0)
    learning_rates: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="learning rates by optimiser, for a method that has several"
    )
    warmup_steps: int = Field(100, ge=0)
    final_learning_rate: float = Field(
        0.1, ge=0, le=1, description="the cosine decay ends at this fraction of the learning rate"
    )
    betas: tuple[Share, Share] = (0.9, 0.95)
    adam_epsilon: float = Field(1e-8, gt=0, description="ε of AdamW")
    weight_decay: float = Field(0.1, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    weight_average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay per update of an average of the weights, which is saved and played; 0: "
        "the last weights are",
    )
    precision: TrainingPrecision = Field(
        "float32",
        description="precision of matrix products and convolutions; native: bfloat16 on machines "
        "with instructions for it, float32 on others",
    )
    return_scale: float | None = Field(
        None,
        gt=0,
        description="returns-to-go are divided by it; default: the largest |R̂| of the data",
    )
    held_out_fraction: float = Field(
        0.1, ge=0, lt=1, description="share of episodes kept for held-out accuracy"
    )
    windows: Placing = Field(
        "ends",
        description="ends: a window's last step is drawn uniformly, and it is shorter at an "
        "episode's start; starts: its first step, and it is shorter at the end (Decision "
        "Transformer's Gym code); shifted: its first step, and it is moved back from the end "
        "(its Atari code)",
    )
    start_steps: int = Field(
        40,
        ge=1,
        description="number of steps at the start of an episode to which `start_weight` applies",
    )
    start_weight: int = Field(
        1,
        ge=1,
        description="how many times as often as others a step at the start of an episode is drawn",
    )
    evaluate_every: int = Field(250, ge=1, description="steps between rows of the training curve")
    checkpoint_every: int | None = Field(
        None,
        ge=1,
        description="steps between checkpoints kept beside the last one, to be played (Figure 3)",
    )


class HardwareConfig(Section):
    """What heavy jobs run on: no part of the experiment, so a change of it runs nothing again."""

    device: Device = Field(
        "cpu",
        description="auto: a graphics card that no other job has claimed, if there is one",
    )
    processes: int = Field(
        1,
        ge=1,
        description="number of processes that share every batch of a policy's training, each with "
        "its own device",
    )
    save_every: int | None = Field(
        None,
        ge=1,
        description="number of steps between saves that a killed training resumes from; default: "
        "at each row of its curve",
    )
    cache_memory_mb: int = Field(
        2048,
        ge=16,
        description="megabytes of decoded observations that a training holds in memory",
    )
    shards: int = Field(
        1,
        ge=1,
        description="number of jobs into which detection and encoding of one data set are divided",
    )
    image: str = Field(
        "more3s.sif",
        pattern=r"^\S+$",
        description="what jobs run in with --sdm apptainer: a file that Apptainer has made of "
        "envs/Containerfile, or an address such as docker://registry/more3s:0.1.0",
    )


class MethodConfig(Section):
    """Everything stage two needs to train and evaluate one method in one variant."""

    method: str = Field(description="module of pipeline/methods/")
    features: str = Field(
        "compact",
        description="file of config/features/; a method or variant may instead give a mapping of "
        "what differs, and the features are then named after it",
    )
    language_model: str | None = Field(
        None,
        description="file of config/language_models/ that policy.initial_weights may come from",
    )
    policy: SerializeAsAny[MethodSettings] = Field(
        MethodSettings(),
        validate_default=True,
        description="the method's own settings, of pipeline/config/methods/",
    )
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def trained(self) -> "MethodConfig":
        """The same without what only play depends on: that must not train anew."""
        fields = type(self.policy).model_fields
        default = {key: fields[key].get_default() for key in self.policy.acting}
        policy = self.policy.model_copy(update=default)
        update = {"policy": policy, "evaluation": EvaluationConfig()}
        return self.needed().model_copy(update=update)

    def needed(self) -> "MethodConfig":
        """The same without names of what it does not read: others must make nothing anew."""
        policy, fields = self.policy, type(self).model_fields
        read = {"features": policy.embedded, "language_model": policy.from_language_model}
        default = {name: fields[name].get_default() for name in read if not read[name]}
        return self.model_copy(update=default)

    @field_validator("policy", mode="plain")
    @classmethod
    def _of_the_method(cls, value: Any, told: ValidationInfo) -> MethodSettings:
        """The settings as those that the method has."""
        schema = settings_class(str(told.data.get("method")))
        if isinstance(value, MethodSettings):
            value = value.model_dump(exclude_unset=True)
        return schema.model_validate(value)
