"""What the package's README shows runs, block after block."""

import re
from pathlib import Path

from forge import digest, model_document, prompt_document, route

README = Path(__file__).parents[2] / "packages/assent-client/README.md"


def test_the_examples_of_the_readme_run(server, upstream, tmp_path, capsys):
    greeting = prompt_document(
        "You greet {{ customer }}.", name="greeting", variables={"customer": {"required": True}}
    )
    model = model_document()
    flag = route("on", key="gpt4", kind="flag") | {"variants": {"stable": True}}
    routes = {
        "assistant": route(digest(model)),
        "greeting": route(digest(greeting), key="greeting", kind="prompt"),
        "gpt4": flag,
    }
    server.publish(
        model, greeting, routes=routes, providers={"main": {"base_url": upstream.url, "kind": "openai"}}
    )
    names = {
        "url": f"http://127.0.0.1:{server.server_port}", "token": "t", "data_dir": str(tmp_path),
        "provider_url": upstream.url, "provider_key": "sk",
    }  # fmt: skip
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    names["llm"].close()
    names["client"].close()
    assert capsys.readouterr().out == "on\n"
    kinds = [row["kind"] for row in server.rows]
    assert sorted(kinds) == ["call", "call", "exposure", "exposure", "feedback"]
    assert len(upstream.asked) == 2
