// Checks with unchanged OpenFeature SDKs and OFREP providers for JavaScript: the server's, and the browser's.
import assert from "node:assert/strict";
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature as OpenFeatureWeb, ProviderEvents } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";

const { GATEWAY, KEY, LIMITED } = process.env;
const headers = (token) => [["authorization", `Bearer ${token}`]];
const clientOf = async (token, domain, baseUrl = GATEWAY) => {
  await OpenFeature.setProviderAndWait(domain, new OFREPProvider({ baseUrl, headers: headers(token) }));
  return OpenFeature.getClient(domain);
};
const ada = { targetingKey: "ada", organisation: "acme" };
const bob = { targetingKey: "bob" };
const flags = await clientOf(KEY, "flags");

const asked = [];
const counted = async (...ask) => {
  const answer = await fetch(...ask);
  const { status, headers } = answer;
  asked.push({ status, known: new Headers(ask[1]?.headers ?? ask[0].headers).get("if-none-match"), etag: headers.get("etag") });
  return answer;
};
await OpenFeatureWeb.setContext(ada);
const provider = new OFREPWebProvider({ baseUrl: GATEWAY, headers: headers(KEY), pollInterval: 100, fetchImplementation: counted });
await OpenFeatureWeb.setProviderAndWait(provider);
const web = OpenFeatureWeb.getClient();
const until = async (observe, what) => {
  for (const end = Date.now() + 5000; Date.now() < end; ) {
    if (await observe()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`${what} did not come`);
};

const checks = {
  "a rule decides and says so": async () => {
    const found = await flags.getBooleanDetails("new-search", false, ada);
    assert.deepEqual([found.value, found.variant, found.reason], [true, "on", "TARGETING_MATCH"]);
    assert.equal(found.flagMetadata.rule, "acme");
  },
  "whom no rule names gets the off variant": async () => {
    assert.equal(await flags.getBooleanValue("new-search", true, bob), false);
  },
  "texts of every script pass unchanged": async () => {
    assert.equal(await flags.getStringValue("greeting", "", bob), "Zürich 東京");
  },
  "numbers and objects keep their types": async () => {
    assert.equal(await flags.getNumberValue("limit", 1, bob), 100);
    assert.equal(await flags.getNumberValue("ratio", 0.5, bob), 0.75);
    assert.deepEqual(await flags.getObjectValue("layout", {}, bob), { columns: [1, 2] });
  },
  "a share sticks to a user": async () => {
    const users = Array.from({ length: 15 }, (_, n) => ({ targetingKey: `user-${n}` }));
    const ask = () => Promise.all(users.map((user) => flags.getBooleanValue("half", false, user)));
    const first = await ask();
    assert.deepEqual(await ask(), first);
    assert.equal(new Set(first).size, 2);
  },
  "a flag that is off says that it is": async () => {
    const found = await flags.getBooleanDetails("broken", true, ada);
    assert.deepEqual([found.value, found.reason], [false, "DISABLED"]);
  },
  "an unknown flag gives the default and the code": async () => {
    const found = await flags.getBooleanDetails("gone", true, ada);
    assert.deepEqual([found.value, found.errorCode], [true, "FLAG_NOT_FOUND"]);
  },
  "a missing unit gives the default and the code": async () => {
    const found = await flags.getBooleanDetails("by-organisation", true, bob);
    assert.deepEqual([found.value, found.errorCode], [true, "TARGETING_KEY_MISSING"]);
  },
  "another type gives the default and the code": async () => {
    const found = await flags.getStringDetails("limit", "x", bob);
    assert.deepEqual([found.value, found.errorCode], ["x", "TYPE_MISMATCH"]);
  },
  "a wrong token gives the default": async () => {
    const found = await (await clientOf("wrong", "wrong")).getBooleanDetails("new-search", true, ada);
    assert.deepEqual([found.value, found.errorCode], [true, "GENERAL"]);
  },
  "the browser's provider has all flags after one request": async () => {
    assert.equal(web.getBooleanValue("new-search", false), true);
    assert.equal(web.getStringValue("greeting", ""), "Zürich 東京");
    assert.deepEqual(web.getObjectValue("layout", {}), { columns: [1, 2] });
    assert.equal(asked[0].status, 200);
  },
  "the browser's provider asks with the tag and is told that nothing changed": async () => {
    await until(() => asked.some(({ status, known }) => status === 304 && known === asked[0].etag), "a 304");
    assert.equal(web.getBooleanValue("new-search", false), true);
  },
  "the browser's provider asks anew for another user": async () => {
    await OpenFeatureWeb.setContext(bob);
    assert.equal(web.getBooleanValue("new-search", true), false);
  },
  "too many evaluations are refused until the time that is told": async () => {
    await OpenFeatureWeb.close();
    const limited = await clientOf(KEY, "limited", LIMITED);
    const ask = () => limited.getBooleanDetails("half", false, bob);
    await until(async () => !(await ask()).errorCode, "an answer");
    assert.equal((await ask()).errorCode, "GENERAL");
    assert.match((await ask()).errorMessage, /paused due to TooManyRequests until/);
  },
};

let failed = 0;
for (const [check, run] of Object.entries(checks)) {
  const outcome = { client: "openfeature-ofrep-js", check, ok: true };
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
