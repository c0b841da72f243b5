// The page of a delivery tells the truth: of bodies to the byte, of handshakes, of what was deleted or changed meanwhile.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";

import { closeWindow, openWindow, signIn, startBrowser } from "./browser.mjs";
import { KEY, endpoint, startReceiver, startService, until } from "./service.mjs";

let service, browser, receiver, hook;

before(async () => {
  service = await startService();
  browser = await startBrowser();
  receiver = await startReceiver(() => ({ status: 500, body: "no" }));
  await service.api("PUT", "/topics/order.paid", {});
  hook = await service.api("POST", "/tenants/default/endpoints", endpoint(receiver.url("/hook"), { format: "raw" }));
});

after(async () => {
  await browser?.close();
  receiver?.stop();
  await service?.stop();
});

/// The one delivery that a search finds, once it is there.
async function found(query) {
  return until(query, async () => {
    const { data } = await service.api("GET", `/tenants/default/deliveries?${query}`);
    return data.length === 1 && data[0];
  });
}

const at = (delivery) => `/console/tenants/default/deliveries/${delivery.id}`;

/// Publishes bytes as they are, and finds the delivery that failed.
async function publishRaw(id, contentType, body) {
  const answer = await fetch(`${service.url}/v1/tenants/default/events?topic=order.paid&id=${id}`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": contentType },
    body,
  });
  assert.equal(answer.status, 202);
  return found(`event=${id}&state=exhausted`);
}

/// The words that a shell makes of a command.
function words(command) {
  const said = execFileSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }\n${command}`]);
  return said.toString().split("\0").slice(0, -1);
}

test("the command carries the body to the byte, or has it in a file", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const bodies = {
    lines: ["text/csv", "order,42\nit's \"paid\" $HOME `id` \\ !\n", true],
    crlf: ["text/csv", "order,42\r\norder,43\r\n", false],
    escape: ["text/plain", "\u001b]0;title\u0007 \u0003", false],
    binary: ["image/png", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00, 0x0d, 0x0a]), false],
  };
  for (const [id, [contentType, body, inline]] of Object.entries(bodies)) {
    await page.goto(service.url + at(await publishRaw(id, contentType, body)));
    const command = words(await page.locator("#curl").textContent());
    assert.ok(command.includes(`content-type: ${contentType}`), id);
    const link = page.getByRole("link", { name: /\.body$/ });
    assert.equal(await link.count(), inline ? 0 : 1, id);
    if (inline) {
      assert.equal(command[command.indexOf("--data-raw") + 1], body, id);
    } else {
      const file = await link.textContent();
      assert.equal(command[command.indexOf("--data-binary") + 1], `@${file}`, id);
      const answer = await page.request.get(service.url + (await link.getAttribute("href")));
      assert.deepEqual(await answer.body(), Buffer.from(body), id);
    }
  }
  await closeWindow(page);
});

test("what is no text is not shown as text", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  await page.goto(service.url + at(await publishRaw("pixels", "image/png", Buffer.from([0xff, 0xd8, 0x00]))));
  await page.getByText("It is not text.").waitFor();
  await page.getByText("image/png, 3 bytes").waitFor();
  await page.goto(service.url + at(await publishRaw("zero", "text/plain", "a\0b")));
  await page.getByText("text/plain, 3 bytes").waitFor();
  assert.equal(await page.getByText("It is not text.").count(), 0);
  await closeWindow(page);
});

test("a format that was changed since is told", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const delivery = await publishRaw("changed", "text/csv", "order,42");
  await page.goto(service.url + at(delivery));
  await page.getByText("As the last request that is kept.").waitFor();
  assert.equal(await page.getByText("format was changed since").count(), 0);
  await service.api("PATCH", `/tenants/default/endpoints/${hook.id}`, { format: "cloudevents" });
  await page.reload();
  await page.getByText("The endpoint's format was changed since, so the body is not what was sent then.").waitFor();
  await service.api("PATCH", `/tenants/default/endpoints/${hook.id}`, { format: "raw" });
  await closeWindow(page);
});

test("an endpoint that was deleted leaves the story of its deliveries", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const gone = await service.api("POST", "/tenants/default/endpoints", endpoint(receiver.url("/gone")));
  await service.api("POST", "/tenants/default/events", { topic: "order.paid", id: "left", data: {}, endpoint: gone.id });
  const delivery = await found("event=left&state=exhausted");
  await service.api("DELETE", `/tenants/default/endpoints/${gone.id}`);
  const answer = await page.goto(service.url + at(delivery));
  assert.equal(answer.status(), 200);
  await page.getByText("It was given up after 3 attempts").waitFor();
  assert.equal(await page.locator(".facts").getByText("deleted").count(), 1);
  assert.equal(await page.locator(".story > li").count(), 5);
  for (const name of [/Try again now/, "Replay"]) assert.equal(await page.getByRole("button", { name }).count(), 0);
  assert.equal(await page.locator("#curl").count(), 0);
  await page.getByRole("heading", { name: "What the event carries" }).waitFor();
  await closeWindow(page);
});

test("an attempt after the end stands after it", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  await service.api("POST", "/tenants/default/events", { topic: "order.paid", id: "later", data: {}, endpoint: hook.id });
  const delivery = await found("event=later&state=exhausted");
  await page.goto(service.url + at(delivery));
  const titles = async () => page.locator(".story > li > p:first-child").evaluateAll((all) => all.map((one) => /Accepted|Attempt \d|exhausted/.exec(one.textContent)[0]));
  assert.deepEqual(await titles(), ["Accepted", "Attempt 1", "Attempt 2", "Attempt 3", "exhausted"]);
  await page.getByRole("button", { name: "Try again now" }).click();
  await until("it was tried", async () => (await service.api("GET", `/tenants/default/deliveries/${delivery.id}`)).attempts === 4);
  await page.reload();
  assert.deepEqual(await titles(), ["Accepted", "Attempt 1", "Attempt 2", "Attempt 3", "exhausted", "Attempt 4"]);
  await page.getByText("by hand").waitFor();
  await closeWindow(page);
});

test("a handshake is neither replayed nor repeated, and what waits for it says so", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const more = { handshake: { type: "echo" }, format: "cloudevents" };
  const asked = await service.api("POST", "/tenants/default/endpoints", endpoint(receiver.url("/asked"), more));
  assert.equal(asked.handshake.verified_at, null);
  await page.goto(service.url + at(await found(`endpoint=${asked.id}&topic=posthaste.handshake`)));
  await page.locator(".title").getByText("handshake", { exact: true }).waitFor();
  await page.getByText("It failed. The receiver failed over the event.").waitFor();
  await page.getByText("Mend what is wrong, then verify the endpoint on its page.").waitFor();
  for (const name of [/Try again now/, "Replay"]) assert.equal(await page.getByRole("button", { name }).count(), 0);
  // It goes raw, whatever events look like.
  const sent = receiver.requests.find(({ path }) => path === "/asked");
  const command = words(await page.locator("#curl").textContent());
  assert.equal(command[command.indexOf("--data-raw") + 1], sent.body);

  await service.api("POST", "/tenants/default/events", { topic: "order.paid", id: "held", data: {}, endpoint: asked.id });
  await page.goto(service.url + at(await found("event=held")));
  await page.getByText("It is held, because its endpoint has not given its handshake.").waitFor();
  await page.getByText("Verify the endpoint on its page.").waitFor();
  assert.equal(await page.getByRole("button", { name: /Try again now/ }).count(), 0);
  await closeWindow(page);
});

test("a test says that it is one", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const tested = await service.api("POST", `/tenants/default/endpoints/${hook.id}/test`);
  await page.goto(service.url + at(tested.delivery));
  await page.locator(".title").getByText("test", { exact: true }).waitFor();
  await page.getByText("A test is not tried again by itself.").waitFor();
  await closeWindow(page);
});

test("a page refreshes its part without what only the whole of it has", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const path = service.url + at(await publishRaw("part", "text/csv", "order,42"));
  const text = async (headers) => (await page.request.get(path, { headers })).text();
  const [whole, part] = [await text({}), await text({ "posthaste-part": "story" })];
  for (const id of ["story", "curl", "payload"]) assert.ok(whole.includes(`id="${id}"`), id);
  assert.ok(part.includes('id="story"') && !part.includes('id="curl"') && !part.includes('id="payload"'));
  await closeWindow(page);
});

test("a live search that makes no sense keeps its fields", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console/live");
  await page.getByLabel("Endpoint").fill("7");
  await page.getByLabel("Topic").fill("order.paid");
  await page.getByRole("button", { name: "Watch" }).click();
  await page.getByRole("alert").getByText("endpoint: '7' is not the id of an endpoint").waitFor();
  assert.equal(await page.getByLabel("Endpoint").inputValue(), "7");
  assert.equal(await page.getByLabel("Topic").inputValue(), "order.paid");
  await closeWindow(page);
});

test("of a key pair the receiver is given the public half", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const signature = { profile: "standard", versions: ["v1a"] };
  const signed = await service.api("POST", "/tenants/default/endpoints", endpoint(receiver.url("/signed"), { signature }));
  await page.goto(`${service.url}/console/tenants/default/endpoints/${signed.id}`);
  await page.getByRole("button", { name: "Reveal the secret" }).click();
  assert.equal(await page.locator("pre").first().textContent(), signed.public_key);
  await page.getByText("The service signs with this. The receiver needs only the public key.").waitFor();
  assert.equal(await page.getByText("keep it as a password").count(), 0);
  await closeWindow(page);
});
