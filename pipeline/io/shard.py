"""Shares of a long job that several jobs do. No numpy: every stage's command line reads this."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Number `index` of `count` nearly equal shares of the batches."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2-of-4`, as Snakemake names it; raises ValueError for anything else."""
        index, _, count = text.partition("-of-")
        shard = cls(int(index), int(count))
        if not 1 <= shard.index <= shard.count:
            raise ValueError(f"{text}: no such shard")
        return shard

    def batches(self, total: int) -> range:
        """Its batches of `total`."""
        return range(total * (self.index - 1) // self.count, total * self.index // self.count)
