"""MORE-3S as a pipeline: the map of the package, in the order the data flows.

| package | what enters → what leaves |
|---|---|
| `io` | arrays → artefacts on disk: whole or not at all, checked, resumed, sharded |
| `config` | YAML → one checked `Config`; plug-ins by file name; the package's source, read |
| `hardware` | graphics cards and precision, several processes, what the machine is |
| `pretrained` | published files: downloaded, and read without running anything in them |
| `environments` | a game or robot, one file per family; actions; frames made smaller |
| `data` | recordings and published data sets → trajectories → each distinct frame once |
| `vision` | frame → regions |
| `features` | regions and a sentence → O_t of every distinct pair, on disk and in play |
| `nn` | the parts that methods are built of |
| `observations` | artefacts → windows of steps in training, and what is seen in play |
| `methods` | one file, one method |
| `training` | windows → a policy and its curve, one loop for all |
| `language` | texts → a language model whose layers a policy can begin with |
| `evaluation` | a policy → episodes in closed loop, videos, sweeps of the target return |
| `reporting` | episodes → scores → statistics → tables, figures, pages |
| `provenance` | what made what: records, and `explain`, from a cell back to the first data |
| `stages` | one command per rule of the workflow |

Imports go from later packages to earlier ones only; `errors` comes before all. The package knows
contents and the workflow knows locations: no path of an artefact is written here.
`docs/architecture.md` describes it at length.
"""
