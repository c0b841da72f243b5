// A tenant's own people look after their endpoints, and see nobody else's.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { closeWindow, openWindow, signIn, startBrowser } from "./browser.mjs";
import { KEY, endpoint, startReceiver, startService, until } from "./service.mjs";

let service, browser, receiver, theirs;

before(async () => {
  service = await startService();
  browser = await startBrowser();
  receiver = await startReceiver(() => ({ status: 500, body: "sorry" }));
  await service.api("PUT", "/topics/order.paid", {});
  await service.api("PUT", "/tenants/acme", { name: "Acme Inc." });
  await service.api("PUT", "/tenants/globex", { name: "Globex" });
  await service.api("POST", "/tenants/acme/endpoints", endpoint(receiver.url("/acme")));
  theirs = await service.api("POST", "/tenants/globex/endpoints", endpoint(receiver.url("/globex")));
  for (const tenant of ["acme", "globex"]) {
    await service.api("POST", `/tenants/${tenant}/events`, { topic: "order.paid", id: `of-${tenant}`, data: { of: tenant } });
  }
  await until("both failed", async () => (await service.api("GET", "/deliveries?state=exhausted")).data.length === 2);
});

after(async () => {
  await browser?.close();
  receiver?.stop();
  await service?.stop();
});

async function enter(page) {
  const { token } = await service.api("POST", "/tenants/acme/portal-links", { ttl: "10m" });
  await page.goto(`${service.url}/portal?token=${token}`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

test("an operator makes a link, which opens the portal from another site", async (t) => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console/tenants/acme");
  await page.getByText("Portal link…").click();
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.locator("#link").textContent();
  assert.ok(link.startsWith(`${service.url}/portal?token=php_`), link);
  await closeWindow(page);

  const saas = await startReceiver(() => ({ headers: { "content-type": "text/html" }, body: `<a href="${link}">webhooks</a>` }));
  t.after(() => saas.stop());
  const subscriber = await openWindow(browser);
  await subscriber.goto(saas.url("/").replace("127.0.0.1", "localhost"));
  await subscriber.getByText("webhooks").click();
  await subscriber.getByText("Acme Inc.").waitFor();
  // The key does not stay in the address.
  await subscriber.waitForURL(`${service.url}/portal`);
  await closeWindow(subscriber);
});

test("a subscriber sees why a delivery failed, mends the receiver and tries again", async () => {
  const page = await openWindow(browser);
  await enter(page);
  await page.getByRole("link", { name: "Deliveries", exact: true }).click();
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.getByRole("link", { name: "order.paid" }).click();
  await page.getByText("The receiver failed over the event.").first().waitFor();
  receiver.answer = () => ({ status: 200 });
  await page.getByRole("button", { name: "Try again now" }).click();
  await page.getByText("One more attempt was asked for.").waitFor();
  await until("it arrived", async () => (await service.api("GET", "/tenants/acme/deliveries?state=delivered")).data.length === 1);
  await page.reload();
  await page.getByText("It arrived").waitFor();
  await closeWindow(page);
});

test("a subscriber manages an endpoint of its own", async () => {
  const page = await openWindow(browser);
  await enter(page);
  await page.getByRole("link", { name: "Endpoints", exact: true }).click();
  await page.getByRole("link", { name: "New endpoint" }).click();
  await page.getByLabel("URL").fill(receiver.url("/own"));
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("The endpoint was created.").waitFor();
  await page.getByRole("button", { name: "Send a test event" }).click();
  await page.getByText(/It was answered with 200 within/).waitFor();
  await page.getByRole("link", { name: "Back to the endpoint" }).click();
  await page.getByText("Rotate the secret…").click();
  await page.getByRole("button", { name: "Make a new secret" }).click();
  await page.getByText("Requests are signed with the old secret, too, until it expires.").waitFor();
  await page.getByRole("link", { name: "Back to the endpoint" }).click();
  await page.getByText("Recover…").click();
  await page.getByRole("button", { name: "Recover what it missed" }).click();
  await page.locator(".title").getByText("done").waitFor();
  await page.goBack();
  await page.getByText("Delete…").click();
  await page.getByRole("button", { name: "Delete this endpoint" }).click();
  await page.getByText("It was deleted.").waitFor();
  await closeWindow(page);
});

test("nobody else's is seen", async () => {
  const page = await openWindow(browser);
  await enter(page);
  for (const path of [
    `/portal/tenants/globex/endpoints/${theirs.id}`,
    "/portal/tenants/globex/events/of-globex",
    "/portal/tenants/globex/endpoints/new",
    "/portal/tenants",
    "/portal/tenants/acme/",
    "/portal/replays",
    "/portal/topics",
  ]) {
    const answer = await page.goto(service.url + path);
    // The form itself tells nothing; it is refused when it is sent.
    if (path.endsWith("/new")) continue;
    assert.equal(answer.status(), 404, path);
  }
  const listed = await page.goto(`${service.url}/portal/deliveries?tenant=globex`);
  assert.equal(listed.status(), 200);
  await page.getByRole("link", { name: "of-acme" }).waitFor();
  assert.equal(await page.getByText("globex").count(), 0);
  await page.goto(`${service.url}/portal/tenants/globex/endpoints/new`);
  await page.getByLabel("URL").fill(receiver.url("/stolen"));
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("alert").getByText("That does not exist").waitFor();
  const console = await page.goto(`${service.url}/console`);
  assert.ok(console.url().includes("/console/sign-in"));
  await closeWindow(page);
});

test("a link that is no good says what to do", async () => {
  const page = await openWindow(browser);
  for (const token of ["php_AAAA", KEY, "a%0Ab"]) {
    const answer = await page.goto(`${service.url}/portal?token=${token}`);
    assert.equal(answer.status(), 401);
    await page.getByRole("heading", { name: "Ask for a new link" }).waitFor();
  }
  await closeWindow(page);
});
