"""A stage's command line, from its options as keywords."""


def words(**options: object) -> list[str]:
    """`seed=0` → `--seed 0`; a list is several words."""
    return [
        word
        for name, value in options.items()
        for word in (
            f"--{name.replace('_', '-')}",
            *map(str, value if isinstance(value, list) else [value]),
        )
    ]
