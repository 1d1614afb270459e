from __future__ import annotations

import pickle

import pytest

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFoundError("gone", status=404, body='{"errors": "gone"}', request="GET /room/r"),
        errors.ConflictError("full"),
        errors.HTTPError(),
        errors.MissingFishjamIdError(),
        errors.StaleSdkError(9),
        errors.AgentAuthError("invalid token"),
        errors.NotifierAuthError("invalid token"),
    ],
)
def test_errors_survive_the_way_to_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert isinstance(copy, FishjamAgentsError)


def test_an_error_made_by_hand_knows_its_status() -> None:
    error = errors.NotFoundError("Room r does not exist")
    assert (error.status, error.body) == (404, "Room r does not exist")
    assert error.args == ("Room r does not exist",)


def test_errors_are_caught_where_the_official_sdk_lets_catch_them() -> None:
    assert issubclass(errors.MissingFishjamIdError, ValueError)
    assert issubclass(errors.NotifierAuthError, RuntimeError)
    assert issubclass(errors.AgentAuthError, errors.AgentError)
    assert issubclass(errors.InvalidFishjamCredentialsError, errors.HTTPError)
