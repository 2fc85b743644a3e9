"""Stages in forks of one process that has imported what is slow, with no import of the project.

A stage that reads embeddings takes ten seconds of a processor to import libraries, and the toy
workflow has eighty jobs. `python` is a function of bash in its jobs (`FUNCTION`), which hands
their command lines over; a fork runs one as `python -m` would, in the job's folder, with its
environment, its output and the project's code as it lies there. `test_determinism.py` compares what
came of that with what processes of their own make.
"""

import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

LIBRARIES = (
    *("torch", "torch._dynamo", "transformers.models.lxmert.modeling_lxmert", "tokenizers"),
    *("pandas", "scipy.stats", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("h5py", "hdf5plugin", "av", "PIL.Image", "pydantic", "safetensors.torch", "markdown_it"),
    "snakemake.cli",
)
SOCKET = "WARM_SOCKET"
"""The variable of the environment that says where the process listens."""
CLIENT = Path(__file__).with_name("warm_client.py")
PATIENCE = 900
"""Seconds that the libraries may take beside other work."""
NO_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""As the rules have it: libraries read this as they are loaded."""
FUNCTION = f"""\
python() {{
    case "${{1-}} ${{2-}}" in
        "-m pipeline.stages."*) command python -I -S {CLIENT} "$@" ;;
        *) command python "$@" ;;
    esac
}}
"""


@contextmanager
def listening(folder: Path) -> Iterator[dict[str, str]]:
    """The process, with its files in `folder`; gives what jobs must have in their environment."""
    place, function = folder / "socket", folder / "function.sh"
    function.write_text(FUNCTION)
    process = subprocess.Popen(
        [sys.executable, __file__, place], cwd=folder, env={**os.environ, **NO_THREADS}
    )
    begun = time.monotonic()
    while not place.exists():
        assert process.poll() is None, "libraries could not be imported"
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.1)
    try:
        yield {"BASH_ENV": str(function), SOCKET: str(place)}
    finally:
        process.terminate()
        process.wait()


def serve(place: Path) -> None:
    """Import the libraries, then run each command line that comes in a fork."""
    for name in LIBRARIES:
        import_module(name)
    assert "pipeline" not in sys.modules
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{place}.new")
        server.listen(64)
        Path(f"{place}.new").rename(place)
        while True:
            connection, _ = server.accept()
            if not os.fork():
                server.close()
                _answer(connection)
            connection.close()
            with suppress(ChildProcessError):  # who asked hears from the fork itself
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _answer(connection: socket.socket) -> None:
    """Run one command line and send its exit status; of a fork that is killed none is sent."""
    length, streams, _, _ = socket.recv_fds(connection, 8, 2)
    told = b""
    while len(told) < int(length):
        told += connection.recv(1 << 20)
    folder, count, *words = told.decode(errors="surrogateescape").split("\0")
    arguments, settings = words[: int(count)], words[int(count) :]
    os.environ.clear()
    os.environ.update(pair.split("=", 1) for pair in settings)
    os.chdir(folder)
    for own, given in zip((1, 2), streams, strict=True):
        os.dup2(given, own)
        os.close(given)
    # What Python has asked of the streams that it had, such as whether they can seek, is not true.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, buffering=1, errors="backslashreplace")
    # As with `python -m`: the current folder first, then those that the environment names.
    sys.path[0:1] = [folder, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = arguments[1:]
    status = 0
    try:
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b"%d" % status)
    os._exit(0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
