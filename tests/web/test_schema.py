"""Requests made up from the OpenAPI description: none may be answered with a 5xx."""

import os
from collections import Counter

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

REQUESTS = int(os.environ.get("VIDSEG_FUZZ", "100"))  # in all; 2000 for a thorough run

SLOW_OR_LARGE = [
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
    HealthCheck.too_slow,
]


def test_no_server_error(live):
    operations = []
    for found in schemathesis.openapi.from_url(f"{live}/openapi.json").get_all_operations():
        assert isinstance(found, Ok), found
        operations.append(found.ok())
    known, codes = {}, Counter()
    for operation in operations:

        @given(operation.as_strategy())
        @settings(
            max_examples=-(-REQUESTS // len(operations)),
            deadline=None,
            suppress_health_check=SLOW_OR_LARGE,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
        )
        def ask(case):
            ids(live, known)
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            answer = case.call()
            codes[answer.status_code] += 1
            case.validate_response(answer, checks=[not_a_server_error])

        ask()
    print(sum(codes.values()), "requests:", dict(codes))
    assert sum(codes.values()) >= 0.7 * REQUESTS and codes[422] and codes[200] and codes[201]


def ids(live: str, known: dict[str, str]) -> None:
    """A session with a picture and a job: without them almost everything would be a 404."""
    place = f"{live}/api/sessions"
    if known and httpx.get(f"{place}/{known['session']}/media/{known['media']}/frames/0").status_code == 200:
        return
    known["session"] = httpx.post(place).json()["session"]
    place = f"{place}/{known['session']}"
    known["media"] = httpx.post(f"{place}/samples/desk.png").json()["media"]
    known["job"] = httpx.post(f"{place}/media/{known['media']}/results", json={"kind": "masks", "objects": []}).json()[
        "job"
    ]
    known["name"] = "desk.png"
