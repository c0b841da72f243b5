// An operator finds out why deliveries fail, and mends it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { closeWindow, openWindow, signIn, startBrowser } from "./browser.mjs";
import { KEY, endpoint, startReceiver, startService, until } from "./service.mjs";

const SCRIPT = "<script>globalThis.stolen = document.cookie; alert(1)</script><img src=x onerror=alert(2)>";

let service, browser, receiver, hook;

before(async () => {
  service = await startService();
  browser = await startBrowser();
  receiver = await startReceiver(() => ({ status: 500, headers: { "x-reason": SCRIPT }, body: `${SCRIPT} no such order` }));
  await service.api("PUT", "/topics/order.paid", { description: "An order was paid" });
  hook = await service.api("POST", "/tenants/default/endpoints", endpoint(receiver.url("/hook")));
  for (let n = 1; n <= 5; n += 1) {
    await service.api("POST", "/tenants/default/events", { topic: "order.paid", id: `order-${n}`, data: { order: n, note: "it's <b>paid</b>" } });
  }
  await until("all are exhausted", async () => (await exhausted()).length === 5);
});

after(async () => {
  await browser?.close();
  receiver?.stop();
  await service?.stop();
});

async function exhausted() {
  return (await service.api("GET", "/deliveries?state=exhausted")).data;
}

test("a key that is not valid opens nothing", async () => {
  const page = await openWindow(browser);
  await page.goto(`${service.url}/console/deliveries?state=exhausted`);
  await page.getByLabel("API key").fill("not the key");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("The key is not valid.").waitFor();
  // Who signs in then goes on to where they wanted to be.
  await page.getByLabel("API key").fill(KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/console/deliveries?state=exhausted");
  await closeWindow(page);
});

test("an address that somebody shares opens where one is signed in, also from another site", async (t) => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const chat = await startReceiver(() => ({ headers: { "content-type": "text/html" }, body: `<a href="${service.url}/console/deliveries?state=exhausted">look</a>` }));
  t.after(() => chat.stop());
  // Another site, by its name.
  await page.goto(chat.url("/").replace("127.0.0.1", "localhost"));
  await page.getByText("look").click();
  await page.getByRole("heading", { name: "Deliveries" }).waitFor();
  await closeWindow(page);
});

test("a failure is found, understood, mended and replayed", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  await page.getByRole("link", { name: receiver.url("/hook").slice("http://".length) }).first().waitFor();

  await page.getByRole("link", { name: "Deliveries", exact: true }).click();
  await page.getByLabel("exhausted").check();
  await page.getByLabel("Accepted since").fill("1h");
  await page.getByLabel("Status").fill("5xx");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL(/state=exhausted.*status=5xx/);
  assert.equal(await page.locator("tbody tr").count(), 5);
  await page.getByRole("link", { name: "order.paid" }).first().click();

  // The page says why, and what the receiver said stays text.
  await page.getByText("It was given up after 3 attempts").waitFor();
  assert.equal(await page.locator(".story > li").count(), 5);
  assert.ok((await page.locator(".story pre").last().textContent()).includes(`${SCRIPT} no such order`));
  assert.ok((await page.locator(".headers").last().textContent()).includes(SCRIPT));
  assert.equal(await page.evaluate(() => globalThis.stolen), undefined);
  assert.match(await page.locator("#curl").textContent(), /^curl .*-X POST .*it'\\''s/s);

  receiver.answer = () => ({ status: 200, body: "thanks" });
  await page.getByRole("button", { name: "Replay" }).click();
  // It is there without loading the page again.
  await page.locator(".title").getByText("delivered").waitFor();
  await page.getByText("It arrived, with 4 attempts.").waitFor();
  assert.equal((await exhausted()).length, 4);
  await closeWindow(page);
});

test("all that a search finds is replayed at once", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, `/console/deliveries?tenant=default&state=exhausted&endpoint=${hook.id}`);
  await page.getByRole("link", { name: "Replay what this search finds" }).click();
  await page.getByText("4 deliveries of tenant default would be sent again.").waitFor();
  await page.getByLabel("At most so many in a second").fill("fast");
  await page.getByRole("button", { name: "Replay 4 deliveries" }).click();
  await page.getByRole("alert").getByText("rate: 'fast' is not a number").waitFor();
  await page.getByLabel("At most so many in a second").fill("100");
  await page.getByRole("button", { name: "Replay 4 deliveries" }).click();
  await page.locator(".title").getByText("done").waitFor();
  await page.getByText("4 of 4 opened again.").waitFor();
  await until("all have arrived", async () => (await service.api("GET", "/deliveries?state=delivered")).data.length === 5);
  await closeWindow(page);
});

test("a live page shows what comes without being loaded again", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console/live");
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await service.api("POST", "/tenants/default/events", { topic: "order.paid", id: "order-live", data: {} });
  await page.getByText("order-live").waitFor();
  await closeWindow(page);
});

test("an endpoint is made, tried out and paused", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console/endpoints");
  await page.getByRole("link", { name: "New endpoint" }).click();
  await page.getByLabel("URL").fill("https://127.0.0.1:1/x y");
  await page.getByLabel("Topics").fill("order.*.*");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("alert").getByText("'order.*.*' is not a topic").waitFor();
  assert.equal(await page.getByLabel("URL").inputValue(), "https://127.0.0.1:1/x y");
  await page.getByLabel("URL").fill(receiver.url("/second"));
  await page.getByLabel("Topics").fill("order.*");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("The endpoint was created.").waitFor();
  await page.getByRole("button", { name: "Send a test event" }).click();
  await page.getByText(/It was answered with 200 within/).waitFor();
  await page.getByRole("link", { name: "Back to the endpoint" }).click();
  await page.getByRole("button", { name: "Reveal the secret" }).click();
  await page.getByText(/^whsec_/).waitFor();
  await page.getByRole("link", { name: "Back to the endpoint" }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("It is paused. Deliveries to it are held, however long.").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("It works.").waitFor();
  await closeWindow(page);
});

test("everything that matters works without a script", async () => {
  receiver.answer = () => ({ status: 500, body: "later" });
  await service.api("POST", "/tenants/default/events", { topic: "order.paid", id: "plain", data: {} });
  await until("it failed", async () => (await service.api("GET", "/deliveries?event=plain&state=exhausted")).data.length > 0);
  receiver.answer = () => ({ status: 200 });
  const page = await openWindow(browser, { javaScriptEnabled: false });
  await signIn(page, service.url, "/console/deliveries?event=plain&state=exhausted");
  await page.getByRole("link", { name: "order.paid" }).first().click();
  await page.getByRole("button", { name: "Replay" }).click();
  await page.getByText("The delivery was opened again.").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  await page.goto(`${service.url}/console`);
  await page.getByLabel("API key").waitFor();
  await page.context().close();
});

test("a form of another site does nothing", async (t) => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const evil = await startReceiver(() => ({
    headers: { "content-type": "text/html" },
    body: `<form method="post" action="${service.url}/console/tenants/default/endpoints/${hook.id}/delete"><button>win</button></form>`,
  }));
  t.after(() => evil.stop());
  await page.goto(evil.url("/").replace("127.0.0.1", "localhost"));
  await page.getByRole("button", { name: "win" }).click();
  await page.getByText("The form was not accepted").waitFor();
  await service.api("GET", `/tenants/default/endpoints/${hook.id}`);
  await page.context().close();
});

test("the keyboard is enough", async () => {
  const page = await openWindow(browser);
  await page.goto(`${service.url}/console`);
  await page.waitForFunction(() => document.activeElement.type === "password");
  await page.keyboard.type(KEY);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  const before = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.getByRole("button", { name: "Theme" }).focus();
  await page.keyboard.press("Space");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), before);
  await closeWindow(page);
});

test("figures that are not fresh say so, until they are fresh again", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console/live");
  await page.getByRole("link", { name: "order.paid" }).first().waitFor();
  const old = page.getByText(/^Not refreshed since \d\d:\d\d:\d\d UTC/);
  assert.equal(await old.count(), 0);
  await page.context().setOffline(true);
  await old.waitFor();
  await page.context().setOffline(false);
  await old.waitFor({ state: "detached" });
  // The browser says too that it was offline.
  page.wrongs = page.wrongs.filter((wrong) => !wrong.includes("ERR_INTERNET_DISCONNECTED"));
  await closeWindow(page);
});

test("the menu of a phone begins with where one is", async () => {
  const page = await openWindow(browser, { viewport: { width: 390, height: 844 } });
  await signIn(page, service.url, "/console/audit");
  const place = await page.getByRole("link", { name: "Audit" }).boundingBox();
  assert.ok(place.x >= 0 && place.x + place.width <= 390, `at ${place.x}`);
  await closeWindow(page);
});
