import httpx
import pytest

from assent_client.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from assent_client.observe import HttpSink

ROLLOUT = "ro_1"
READS = [
    "/v1/projects/acme/quality",
    "/v1/projects/acme/quality/slots",
    "/v1/projects/acme/observers",
    f"/v1/projects/acme/rollouts/{ROLLOUT}/figures",
    f"/v1/projects/acme/rollouts/{ROLLOUT}/evidence",
    "/v1/projects/acme/incidents",
    "/v1/projects/acme/incidents/inc_1",
]
ACTIONS = ["acknowledgements", "resolutions", "reviews"]


def test_a_gateways_batch_is_taken_and_answered_when_durable(served):
    desk = served.desk
    body = desk.body(desk.call("u1"))
    with httpx.HTTPTransport() as transport:
        sink = HttpSink(served.url, served.tokens["gateway"], transport=transport)
        assert sink("b1", body) == 200
    assert len(desk.rows("calls")) == 1


def test_rubbish_is_answered_with_what_to_do(served):
    answer = httpx.post(
        f"{served.url}/v1/observations",
        content=b"{",
        headers={"authorization": f"Bearer {served.tokens['gateway']}"},
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["remedy"][:9]) == ("invalid", "Send the ")


def test_who_may_not_observe_is_refused(served):
    body = served.desk.body(served.desk.call("u1"))
    with served.api("auditor") as api, pytest.raises(Forbidden):
        api.post("/v1/observations", body)
    assert httpx.post(f"{served.url}/v1/observations", content=body).status_code == Unauthenticated.status
    assert served.desk.rows("calls") == []


@pytest.mark.parametrize("path", READS)
def test_a_gateway_reads_nothing(served, path):
    with served.api("gateway") as api, pytest.raises(Forbidden):
        api.get(path)


def test_live_figures_have_their_intervals(served):
    desk = served.desk
    desk.send(desk.call("u1"), desk.call("u2", status=500))
    with served.api("auditor") as api:
        (figures,) = api.get("/v1/projects/acme/quality", route="assistant", last_s=60)["items"]
        (slot,) = api.get("/v1/projects/acme/quality/slots", environment="production")["items"]
        assert api.get("/v1/projects/acme/quality", version="sha256:none")["items"] == []
        assert api.get("/v1/projects/acme/observers")["instances"][0]["instance"] == "gw"
    assert figures["errors"]["rate"] == 0.5
    assert figures["errors"]["interval"]["low"] < 0.5 < figures["errors"]["interval"]["high"]
    assert figures["errors"]["interval"]["method"] == "beta confidence sequence"
    assert slot["n_errors"] == 1


def test_an_incident_from_its_figures_to_its_review(served):
    served.desk.traffic(8, canary_down=0.05)
    served.desk.traffic(30, canary_down=0.6)
    with served.api() as api:
        (listed,) = api.get(api.path("incidents"), rollout=ROLLOUT)["items"]
        path = api.path("incidents", listed["id"])
        assert listed["state"] == "open"
        assert api.get(path) == listed
        assert api.post(f"{path}/acknowledgements")["state"] == "acknowledged"
        with pytest.raises(Conflict):
            api.post(f"{path}/acknowledgements")
        with pytest.raises(Invalid):
            api.post(f"{path}/resolutions", {"note": "x", "more": 1})
        assert api.post(f"{path}/resolutions", {"note": "rolled back"})["note"] == "rolled back"
        assert api.post(f"{path}/reviews", {"review": "add cases"})["state"] == "reviewed"
        figures = api.get(api.path("rollouts", ROLLOUT, "figures"))
        evidence = api.get(api.path("rollouts", ROLLOUT, "evidence"))
    assert (figures["state"], figures["verdict"]) == ("rolled_back", "fail")
    assert evidence["matches"]
    assert evidence["total"] == listed["total"]


@pytest.mark.parametrize("action", ACTIONS)
def test_reading_an_incident_is_no_right_to_change_it(served, action):
    with served.api("auditor") as api, pytest.raises(Forbidden):
        api.post(f"/v1/projects/acme/incidents/inc_1/{action}", {})


def test_what_is_not_there_is_not_found(served):
    with served.api() as api:
        for path in (READS[3], READS[4]):
            with pytest.raises(NotFound):
                api.get(path.replace(ROLLOUT, "ro_none"))
        with pytest.raises(NotFound):
            api.get(READS[6])
