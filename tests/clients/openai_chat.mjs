// Checks with an unchanged openai client for JavaScript.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { VERSION } from "openai/version";

const { GATEWAY, SEEN, KEY } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY, maxRetries: 0, timeout: 15000 });
const user = (text) => [{ role: "user", content: text }];
const ask = (text, more = {}) => client.chat.completions.create({ model: "assistant", messages: user(text), ...more });
const seen = async () => {
  const found = await (await fetch(SEEN)).json();
  return { ...found, body: found.raw ? JSON.parse(found.raw) : null };
};
const refused = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was refused");
};
const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const text = (chunks) => chunks.map((c) => c.choices[0]?.delta?.content ?? "").join("");
const tool = { type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } };
const until = async (observe, what) => {
  for (const end = Date.now() + 5000; Date.now() < end; ) {
    if (await observe()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`${what} did not come`);
};

const checks = {
  "a completion arrives whole": async () => {
    const answer = await ask("Hi");
    assert.deepEqual([answer.choices[0].message.content, answer.id, answer.usage.total_tokens], ["Hello.", "chatcmpl-1", 10]);
  },
  "unknown fields of an answer reach the client": async () => {
    assert.deepEqual((await ask("[[unknown-fields]]")).citations, [{ url: "u" }]);
  },
  "unknown fields of a request reach the upstream": async () => {
    await ask("Hi", { new_field: { a: [1, null] } });
    assert.deepEqual((await seen()).body.new_field, { a: [1, null] });
  },
  "text of every script passes unchanged": async () => {
    const odd = "[[echo]] Zürich 東京 🎉 \u0000 \\ \" \u2028";
    assert.equal((await ask(odd)).choices[0].message.content, odd);
  },
  "request id and rate limits of the upstream are kept and ours stand beside them": async () => {
    const { data, response } = await ask("Hi").withResponse();
    assert.equal(data._request_id, "req-7");
    assert.equal(response.headers.get("x-ratelimit-remaining-requests"), "59");
    assert.equal(response.headers.get("x-assent-variant"), "stable");
  },
  "a stream arrives piece by piece": async () => {
    assert.equal(text(await collect(await ask("Hi", { stream: true }))), "Hello.");
  },
  "a stream holds no usage that nobody asked for": async () => {
    const chunks = await collect(await ask("Hi", { stream: true }));
    assert.ok(chunks.every((c) => c.choices.length && !c.usage));
  },
  "a stream holds the usage that was asked for": async () => {
    const chunks = await collect(await ask("Hi", { stream: true, stream_options: { include_usage: true } }));
    assert.equal(chunks.at(-1).usage.total_tokens, 7);
  },
  "an error within a stream reaches the client": async () => {
    const stream = await ask("[[broken-stream]]", { stream: true });
    assert.match(String(await refused(collect(stream))), /overloaded/);
  },
  "a stream that breaks off does not look whole": async () => {
    await refused(collect(await ask("[[cut]]", { stream: true })));
  },
  "the upstream is let go when the client leaves": async () => {
    const stream = await ask("[[endless]]", { stream: true });
    const before = (await seen()).n_lost;
    for await (const _ of stream) break;
    stream.controller.abort();
    await until(async () => (await seen()).n_lost > before, "the end of the upstream's connection");
  },
  "tools and their calls pass unchanged": async () => {
    const answer = await ask("[[tools]]", { tools: [tool] });
    assert.equal(answer.choices[0].message.tool_calls[0].function.arguments, '{"city":"Zürich","n":1}');
  },
  "a rate limit keeps code type and the time to come back": async () => {
    const error = await refused(ask("[[limited]]"));
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.deepEqual([error.code, error.headers.get("retry-after-ms")], ["insufficient_quota", "6500"]);
  },
  "the clients own retries work": async () => {
    const answer = await client.chat.completions.create({ model: "assistant", messages: user("[[once-limited]]") }, { maxRetries: 2 });
    assert.equal(answer.choices[0].message.content, "Hello.");
  },
  "a wrong key is an authentication error": async () => {
    const wrong = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: "sk-wrong", maxRetries: 0 });
    const error = await refused(wrong.chat.completions.create({ model: "assistant", messages: user("Hi") }));
    assert.ok(error instanceof OpenAI.AuthenticationError);
  },
  "an unknown name is not found and says where to ask": async () => {
    const error = await refused(client.chat.completions.create({ model: "nothing", messages: user("Hi") }));
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.match(error.message, /Ask at http/);
  },
  "a retired name is gone and names its successor": async () => {
    const error = await refused(client.chat.completions.create({ model: "retired", messages: user("Hi") }));
    assert.deepEqual([error.status, error.code], [410, "model_retired"]);
  },
  "the versions prompt comes first with the callers variables": async () => {
    await client.chat.completions.create({ model: "strict", messages: user("Hi"), assent: { variables: { customer: "Ada" } } });
    assert.deepEqual((await seen()).body.messages[0], { role: "system", content: "You help Ada." });
  },
  "missing variables are named": async () => {
    const error = await refused(client.chat.completions.create({ model: "strict", messages: user("Hi") }));
    assert.ok(error instanceof OpenAI.UnprocessableEntityError);
    assert.match(error.message, /customer/);
  },
  "models are listed and found": async () => {
    const names = (await client.models.list()).data.map((m) => m.id);
    assert.ok(names.includes("assistant"));
    assert.equal((await client.models.retrieve("assistant")).owned_by, "assent");
  },
  "forty calls at once get their own answers": async () => {
    const texts = Array.from({ length: 40 }, (_, n) => `[[echo]] ${n}`);
    const answers = await Promise.all(texts.map((one) => ask(one)));
    assert.deepEqual(answers.map((a) => a.choices[0].message.content), texts);
  },
  "a compressed answer is read": async () => {
    assert.equal((await ask("[[gzip]]")).choices[0].message.content, "zipped");
  },
};

let failed = 0;
for (const [check, run] of Object.entries(checks)) {
  const outcome = { client: `openai-node ${VERSION}`, check, ok: true };
  try {
    await run();
  } catch (error) {
    failed += 1;
    Object.assign(outcome, { ok: false, why: String(error).slice(0, 300) });
    console.error(error);
  }
  console.log(JSON.stringify(outcome));
}
process.exit(failed ? 1 : 0);
