"""Prompts as files, against a server that means ill."""

import pytest

from assent_client.cli.prompt.files import plan_pull
from assent_client.errors import Invalid

MESSAGES = [{"role": "user", "content": "x"}]
DOCUMENT = {"name": "x", "syntax": "jinja", "format": "text", "variables": {}, "messages": MESSAGES}


def test_a_server_cannot_name_a_file_outside_of_the_folder(server, api, tmp_path):
    at = "/v1/projects/support/prompts"
    server.on("GET", f"{at}/x/latest", server.Answer({"name": "../x", "document": DOCUMENT}))
    with pytest.raises(Invalid, match="no file can be called so"):
        plan_pull(api, tmp_path, ["x"], force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_text_of_another_role_is_written_with_its_role(server, api, tmp_path):
    found = {"name": "x", "ref": "x@1.0.0", "digest": "sha256:0", "version": "1.0.0", "document": DOCUMENT}
    server.on("GET", "/v1/projects/support/prompts/x/latest", server.Answer(found))
    (step,) = plan_pull(api, tmp_path, ["x"], force=False)
    assert step.content.decode().endswith("format: text\nmessages:\n- role: user\n  content: x\n")
