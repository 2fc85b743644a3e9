"""What methods are called where people read of them: tables, pictures, pages."""

PRINTED = {
    "random": "Random",
    "awr": "AWR",
    "bc_mlp": "BC (MLP)",
    "bear": "BEAR",
    "behaviour_cloning": "BC",
    "brac_v": "BRAC-v",
    "cql": "CQL",
    "cql_continuous": "CQL",
    "decision_transformer": "DT",
    "decision_transformer_glu": "DT+GLU",
    "diffuser": "Diffuser",
    "elastic_dt": "Elastic DT",
    "gato": "Gato",
    "iql": "IQL",
    "jowa": "JOWA",
    "jowa_pixels": "JOWA on pixels",
    "mbop": "MBOP",
    "more3s": "MORE-3S",
    "multi_game_dt": "Multi-Game DT",
    "multi_task_bc": "multi-task BC",
    "qr_dqn": "QR-DQN",
    "rem": "REM",
    "scaled_ql": "Scaled-QL",
    "starformer": "StARformer",
    "tap": "TAP",
    "td3_bc": "TD3+BC",
    "trajectory_transformer": "Trajectory Transformer",
    "upside_down": "Upside-Down RL",
}
"""How the literature writes a method's name; any other is printed as it is configured."""


def printed(method: str, variant: str = "default") -> str:
    """A row's name in a table for people."""
    label = PRINTED.get(method, method)
    return label if variant == "default" else f"{label} ({variant.replace('_', ' ')})"
