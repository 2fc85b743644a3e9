"""State vectors as observations: stored as recorded, alone and beside embeddings."""

from dataclasses import replace

import numpy as np
import pytest
from policies import STATE, TORQUES, trajectories_of

from pipeline.errors import PipelineError
from pipeline.observations import states


def test_stored_states_are_the_recorded_ones_and_padding_is_zero() -> None:
    data = trajectories_of([4, 6], space=TORQUES)
    store = states.open_store(None, data)  # type: ignore[arg-type]
    assert (store.steps, store.shape) == (10, {"state": (STATE,)})
    steps = np.array([[-1, 0, 1], [7, 8, 9]])
    found = store.gather(steps)["state"].numpy()
    assert data.observations is not None
    assert found.dtype == np.float32
    assert not found[0, 0].any()
    np.testing.assert_array_equal(found[0, 1:], data.observations[:2])
    np.testing.assert_array_equal(found[1], data.observations[7:])


def test_statistics_are_those_of_the_data() -> None:
    data = trajectories_of([40, 60], space=TORQUES)
    attributes = states.open_store(None, data).attributes  # type: ignore[arg-type]
    assert data.observations is not None
    exact = data.observations.astype(np.float64)
    np.testing.assert_allclose(attributes["state_mean"], exact.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(attributes["state_std"], exact.std(axis=0), rtol=1e-5)


def test_data_without_state_vectors_are_refused() -> None:
    data = replace(trajectories_of([4], space=TORQUES), observations=None)
    with pytest.raises(PipelineError, match=r"made up: no state vectors; choose another policy\."):
        states.open_store(None, data)  # type: ignore[arg-type]
