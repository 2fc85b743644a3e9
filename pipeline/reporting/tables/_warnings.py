"""What weakens a table's figures, said under it: checks of the scores themselves."""

import json
from collections.abc import Iterator

import pandas as pd

from pipeline.config.data import CLIPPED
from pipeline.config.table import TableConfig
from pipeline.evaluation.episodes import ALIKE
from pipeline.evaluation.stillness import SECONDS, SHARE
from pipeline.reporting.formatting import figure
from pipeline.reporting.scores import EARLIER, LAST
from pipeline.reporting.statistics import gain_by_chance
from pipeline.reporting.tables import best_per_seed, has_shares, printed, select
from pipeline.reporting.trainings import ACCURACY, LATE_GAIN, LEVEL

NO_SCORE = ("evaluation.video_steps", "training.checkpoint_every", "training.evaluate_every")
"""Settings that change no score, and may differ between games."""
TOLD = (
    (("decision_transformer", "default"), ("behaviour_cloning", "default")),
    (("more3s", "default"), ("more3s", "no_return")),
)
"""Rows that differ only in whether the method is told the return; the first one is."""


def warnings(scores: pd.DataFrame, table: TableConfig) -> list[str]:
    """Every warning that the scores of `table` give cause for, a sentence each."""
    return [
        *known_starts(scores, table),
        *recorded_courses(scores, table),
        *serving(scores, table),
        *standing_still(scores, table),
        *repeated_episodes(scores, table),
        *best_against_last(scores, table),
        *settings_by_game(scores, table),
        *clipped_returns(scores, table),
        *data_like_random_play(scores, table),
        *still_learning(scores, table),
        *what_a_return_says(scores, table),
    ]


def known_starts(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Data sets whose evaluation begins in part as recorded episodes did; all rows begin alike."""
    for dataset in table.datasets:
        episodes = select(scores, dataset, *table.rows[0])
        episodes = episodes[episodes["seed"].isin(table.seeds)]
        pairs = zip(episodes["noops"], episodes["known_starts"], strict=True)
        if known := sum(noops in json.loads(starts) for noops, starts in pairs):
            yield (
                f"{dataset}: {known} of {len(episodes)} episodes begin as a recorded one did, with "
                "as many no-ops; nothing else decides a start there"
            )


def recorded_courses(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Data sets on which episodes of some rows end as a recorded one did: such a row may have
    followed recordings, and the mean of its other episodes says what it plays without them.
    """
    for dataset in table.datasets:
        told = []
        for row, episodes in _rows(scores, table, dataset):
            pairs = zip(episodes["episode"], episodes["ended_as_recorded"], strict=True)
            other = [number not in json.loads(recorded) for number, recorded in pairs]
            if count := len(other) - sum(other):
                mean = figure(float(episodes["return"][other].mean()))
                told.append(f"{printed(*row)} {count} of {len(episodes)}, others {mean}")
        if told:
            yield (
                f"{dataset}: episodes that end as a recorded one did, with the same return and a "
                f"length that differs by at most {ALIKE} steps, and the mean return of the row's "
                f"others: {'; '.join(told)}"
            )


def serving(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Games in which FIRE is pressed for the player in play and was not in the data, or the other
    way round: those who recorded pressed it themselves, so that the data hold presses to imitate.
    """
    for dataset in table.datasets:
        said = json.loads(select(scores, dataset, *table.rows[0])["serving"].iloc[0])
        if said and said["played"] != said["recorded"]:
            yield (
                f"{dataset}: the game waits for FIRE; in play it is {said['played']}, in the data "
                f"{said['recorded']}"
            )


def standing_still(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Data sets on which episodes of some rows stand still, for `SECONDS` in a row or in more than
    `SHARE` of their steps: what such a row measures is not how well it plays.
    """
    limits = f"{SECONDS} seconds of play in a row, or in more than {SHARE:.0%} of their steps"
    for dataset in table.datasets:
        told = []
        for row, episodes in _rows(scores, table, dataset):
            limit = episodes["still_limit"].astype(float)  # none where nothing can stand still
            long = episodes["still_steps_longest"] >= limit
            if still := int((long | (episodes["still_share"] > SHARE)).sum()):
                longest = int(episodes["still_steps_longest"].max())
                told.append(f"{printed(*row)} {still} of {len(episodes)}, longest {longest} steps")
        if told:
            yield f"{dataset}: episodes stand still for {limits}: {'; '.join(told)}"


def cut_episodes(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """How many episodes of each row the step limit has cut, where it has cut any."""
    for dataset in table.datasets:
        told = []
        for row, episodes in _rows(scores, table, dataset):
            if cut := int((episodes["terminated"].astype(str) == "False").sum()):
                told.append(f"{printed(*row)} {cut} of {len(episodes)}")
        if told:
            yield f"{dataset}: {', '.join(told)}"


def _rows(
    scores: pd.DataFrame, table: TableConfig, dataset: str
) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The episodes of every row but random play."""
    for row in table.rows:
        episodes = select(scores, dataset, *row)
        yield row, episodes[episodes["seed"].isin(table.seeds)]


def repeated_episodes(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Rows some of whose episodes are alike: they count as fewer than they look.

    In a deterministic emulator two episodes with the same return and length are most likely the
    same episode, so that the effective sample size is the number of distinct ones.
    """
    for dataset in table.datasets:
        told = []
        for row in (("random", "default"), *table.rows):
            episodes = select(scores, dataset, *row)
            episodes = episodes[episodes["seed"].isin(table.seeds)]
            distinct = len(episodes[["return", "length"]].drop_duplicates())
            if distinct < len(episodes):
                told.append(f"{printed(*row)} {distinct} of {len(episodes)}")
        if told:
            yield f"{dataset}: episodes with distinct pairs of return and length: {'; '.join(told)}"


def best_against_last(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Rows of which a checkpoint before the last scored more: what choosing it would have added.

    Every figure is of the last checkpoint. A table that shows the best one of each run instead
    selects on the score that it reports, and would gain even where all play alike.
    """
    for dataset in table.datasets:
        for method, variant in table.rows:
            best = best_per_seed(scores, dataset, method, variant)
            if best is None:
                continue
            last = select(scores, dataset, method, variant).groupby("seed")["return"].mean()
            gain = (best - last).mean()
            if round(gain, 1) > 0:  # as it is printed
                chance = _gain_by_chance(scores, table, dataset, method, variant)
                yield (
                    f"{dataset}, {printed(method, variant)}: taking each seed's best checkpoint "
                    f"instead of its last would have added {gain:.1f} to the mean, where chance "
                    f"alone adds {chance:.1f} on average"
                )


def _gain_by_chance(
    scores: pd.DataFrame, table: TableConfig, dataset: str, method: str, variant: str
) -> float:
    """What that would add on average if all checkpoints of a seed played alike."""
    kinds = (select(scores, dataset, method, variant, kind) for kind in (EARLIER, LAST))
    played = pd.concat(kinds).sort_values("step")  # the last checkpoint is the last group
    gains = []
    for _, of_seed in played[played["seed"].isin(table.seeds)].groupby("seed"):
        groups = [each["return"].to_numpy(float) for _, each in of_seed.groupby("step")]
        gains.append(gain_by_chance(groups))
    return sum(gains) / len(gains)


def settings_by_game(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Rows whose settings differ between games: tuned per game, or data of different sizes."""
    rows: dict[str, list[str]] = {}
    for method, variant in table.rows:
        settings = {
            dataset: _flat(json.loads(text))
            for dataset in table.datasets
            for text in select(scores, dataset, method, variant)["settings"].iloc[:1]
        }
        keys = sorted({key for flat in settings.values() for key in flat}.difference(NO_SCORE))
        differing = [
            key for key in keys if len({str(flat.get(key)) for flat in settings.values()}) > 1
        ]
        if differing:
            rows.setdefault(", ".join(differing), []).append(printed(method, variant))
    for told, alike in rows.items():
        yield f"{told} set per game: {', '.join(alike)}"


def clipped_returns(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Data whose rewards are clipped: their mean cannot be compared with raw scores."""
    sources = scores.groupby("dataset")["data_source"].first()
    clipped = [name for name in table.datasets if CLIPPED in str(sources.get(name))]
    if clipped:
        yield (
            f"{', '.join(clipped)}: the data's rewards are clipped, so the data mean, and what is "
            "given as a share of it, are not on the scale of the scores"
        )


def data_like_random_play(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Games whose data are no better than random play: g would fall where play is better."""
    for dataset in table.datasets:
        if not has_shares(scores, table, dataset):
            yield (
                f"{dataset}: the data are no better on average than random play, so that g says "
                "nothing; the figures across games leave this one out"
            )


def still_learning(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Rows whose training was ended before their held-out error had levelled off."""
    if LATE_GAIN not in scores:
        return
    for dataset in table.datasets:
        told = []
        for row in table.rows:
            gain = select(scores, dataset, *row).groupby("seed")[LATE_GAIN].first().mean()
            if gain >= LEVEL:
                told.append(f"{printed(*row)} {gain:.0%}")
        if told:
            yield (
                f"{dataset}: still learning when training ended; the held-out error fell from the "
                f"last fifth but one of the updates to the last, and levelled off means less than "
                f"{LEVEL:.0%}: {'; '.join(told)}"
            )


def what_a_return_says(scores: pd.DataFrame, table: TableConfig) -> Iterator[str]:
    """Whether the return predicts the recorded action: held-out accuracy with it and without, each
    the mean of the seeds.
    """
    if ACCURACY not in scores:
        return
    pairs = [pair for pair in TOLD if set(pair) <= set(table.rows)]
    for dataset in table.datasets:
        for told, untold in pairs:
            seeds = [
                select(scores, dataset, *row).groupby("seed")[ACCURACY].first()
                for row in (told, untold)
            ]
            if (gains := (seeds[0] - seeds[1]).dropna()).empty:
                continue
            means = " and ".join(f"{each.mean():.3f}" for each in seeds)
            clear = len(gains) > 1 and (gains > 0).all()
            says = "predicts" if clear else "does not clearly predict"
            yield (
                f"{dataset}: the return {says} the recorded action; held-out accuracy of "
                f"{printed(*told)} and {printed(*untold)}, which is not told it, {means}"
            )


def _flat(settings: dict[str, object], path: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[path + key] = value
    return flat
