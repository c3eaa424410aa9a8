"""Calls through the gateway, as applications make them."""


def test_a_call_is_answered_by_the_approved_version(live):
    answer = live.ask()
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "Hello."
    print(answer.headers, live.calls())
