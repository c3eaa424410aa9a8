"""Break-glass, comments and changes over HTTP and the command line."""

import json

from assent.delivery import jobs as delivery_jobs
from assent.prompts import service as prompts
from tests.approvals.shop import PROJECT
from tests.approvals.test_service import ready

INCIDENT = ("--incident", "INC-7", "--reason", "refunds are wrong", "--yes")


def test_break_glass_from_its_start_to_its_review_on_the_command_line(served, assent):
    shop = served.shop
    shop.adopt()
    _, rollout = shop.file()
    code, _, err = assent("otto", "rollout", "start", rollout.id)
    assert (code, "assent eval run" in err) == (16, True)
    code, _, err = assent("otto", "rollout", "start", rollout.id, "--break-glass", "--yes")
    assert (code, "--incident" in err) == (10, True)
    code, _, err = assent("otto", "rollout", "start", rollout.id, "--incident", "INC-7")
    assert (code, "--break-glass" in err) == (10, True)
    code, _, err = assent("ada", "rollout", "start", rollout.id, "--break-glass", *INCIDENT)
    assert (code, "approvals.break_glass.open" in err) == (12, True)
    code, out, _ = assent("otto", "--json", "rollout", "start", rollout.id, "--break-glass", *INCIDENT)
    assert (code, json.loads(out)["state"]) == (0, "running")
    code, out, _ = assent("otto", "--json", "breakglass", "list", "--open", "--owed", "--name", "support")
    (held,) = json.loads(out)
    assert (held["state"], held["ref"], held["overdue"]) == ("open", "support@2.1.0", False)
    assert held["reason"] == "refunds are wrong\n\nIncident: INC-7"
    assert assent("otto", "breakglass", "second", held["id"])[0] == 16
    assert assent("rita", "breakglass", "second", held["id"])[0] == 0
    assert assent("otto", "rollout", "rollback", rollout.id, "--yes")[0] == 0
    delivery_jobs.settle_break_glass(shop.desk.runtime)
    reviewed = ("breakglass", "review", held["id"], "--finding", "justified", "--text", "It was right.")
    assert assent("rita", *reviewed)[0] == 16
    code, out, _ = assent("ron", "--json", *reviewed)
    assert (code, json.loads(out)["reviewed_by"], json.loads(out)["state"]) == (0, "ron", "taken_back")
    code, out, _ = assent("ada", "breakglass", "show", held["id"])
    assert (code, "It was right." in out) == (0, True)
    assert assent("ada", "breakglass", "list", "--env", "staging")[2] == "None.\n"


def test_comments_and_changes_on_the_command_line(served, assent):
    shop = served.shop
    text = {"messages": [{"role": "system", "content": "Be brief.\nBe kind."}]}
    prompt, _ = shop.do("bob", prompts.register, prompts.NewPrompt(PROJECT, "greeting", text))
    shop.register("2.2.0", prompt=prompt.digest)
    request, _ = ready(shop)
    ref = "support@2.1.0"
    assert "not voted" in assent("rita", "request", "changes", ref)[1]
    assert assent("rita", "request", "abstain", ref)[0] == 0
    assert "nothing." in assent("rita", "request", "changes", ref)[1]
    shop.clock.advance(1)
    code, out, _ = assent(
        "otto", "--json", "request", "comment", ref, "Which?", "--on", "provider", "--line", "1"
    )
    made = json.loads(out)
    assert (code, made["path"], made["line"], made["by"]) == (0, "provider", 1, "otto")
    code, _, err = assent("otto", "request", "comment", ref, "Which?", "--on", "providr")
    assert (code, "Fields are" in err) == (10, True)
    assert assent("ada", "request", "comment", ref, "Acme.", "--answers", made["id"])[0] == 0
    shop.pass_suite()
    shop.vote("ron", request, "abstain")
    changed = assent("rita", "request", "changes", ref)[1]
    assert "comment: otto: Which?" in changed
    assert "evidence: suite.verdict" in changed
    assert "vote: ron abstain" in changed
    assert assent("rita", "request", "resolve", made["id"])[0] == 0
    code, out, _ = assent("rita", "--json", "request", "comments", ref)
    assert [(one["text"], one["resolved_by"]) for one in json.loads(out)] == [
        ("Which?", "rita"),
        ("Acme.", None),
    ]
