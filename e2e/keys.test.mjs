// Keys are made for people, who then see and do what their roles allow; the audit says who did what.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { closeWindow, openWindow, signIn, startBrowser } from "./browser.mjs";
import { endpoint, startReceiver, startService } from "./service.mjs";

let service, browser, receiver, hook;

before(async () => {
  service = await startService();
  browser = await startBrowser();
  receiver = await startReceiver(() => ({ status: 200 }));
  await service.api("PUT", "/tenants/acme", { name: "Acme Inc." });
  await service.api("PUT", "/tenants/globex", { name: "Globex" });
  hook = await service.api("POST", "/tenants/acme/endpoints", endpoint(receiver.url("/hook")));
});

after(async () => {
  await browser?.close();
  receiver?.stop();
  await service?.stop();
});

/// Shows a key at a door.
async function show(page, path, key) {
  await page.goto(service.url + path);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("a key is made, shown once, used and deleted", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console/keys");
  await page.getByText("There are no keys yet but the admin key").waitFor();
  await page.getByLabel("Name").fill("Ada");
  await page.getByLabel("Role").selectOption("operator");
  await page.getByLabel("Good for").fill("soon");
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.getByRole("alert").getByText("expires: 'soon' is not a length of time").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "Ada");
  await page.getByLabel("Good for").fill("90d");
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.locator("#secret").textContent();
  assert.match(key, /^phk_/);
  await page.getByRole("link", { name: "I have copied it" }).click();
  await page.getByText(/in (89|90) d/).waitFor();
  assert.equal(await page.getByText("phk_").count(), 0);

  const ada = await openWindow(browser);
  await show(ada, "/console/sign-in", key);
  await ada.getByRole("button", { name: "Sign out" }).waitFor();
  await ada.goto(`${service.url}/console/tenants/acme/endpoints/${hook.id}`);
  await ada.getByRole("button", { name: "Pause" }).click();
  await ada.getByText("The endpoint is paused.").waitFor();
  assert.equal(await ada.getByRole("link", { name: "Keys" }).count(), 0);

  await page.getByRole("link", { name: "Audit" }).click();
  const row = page.getByRole("row", { name: "pause endpoint" });
  await row.getByText("key “Ada”").waitFor();
  await row.getByRole("link").click();
  await page.getByText("It is paused. Deliveries to it are held, however long.").waitFor();

  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByText("Delete…").click();
  await page.getByRole("button", { name: "Delete this key" }).click();
  await page.getByText("The key was deleted, and is good no more.").waitFor();
  await ada.reload();
  await ada.getByLabel("API key").waitFor();
  await closeWindow(ada);
  await closeWindow(page);
});

test("a viewer sees everything but secrets, and changes nothing", async () => {
  const { secret } = await service.api("POST", "/keys", { name: "Hall", role: "viewer" });
  const page = await openWindow(browser);
  await show(page, "/console/sign-in", secret);
  await page.getByText("viewer").waitFor();
  await page.goto(`${service.url}/console/tenants/acme/endpoints/${hook.id}`);
  await page.getByRole("heading", { name: "How it fares" }).waitFor();
  assert.deepEqual(await page.getByRole("button").allTextContents(), ["Theme", "Sign out"]);
  assert.equal((await page.goto(`${service.url}/console/keys`)).status(), 404);
  await closeWindow(page);
});

test("a tenant's own key opens the portal, and a publisher's nothing", async () => {
  const own = await service.api("POST", "/keys", { name: "Acme", role: "tenant", tenant: "acme" });
  const publisher = await service.api("POST", "/keys", { name: "Shop", role: "publisher" });
  const page = await openWindow(browser);
  await show(page, "/console/sign-in", publisher.secret);
  await page.getByRole("alert").getByText("This key only publishes events.").waitFor();
  await show(page, "/console/sign-in", own.secret);
  await page.getByRole("link", { name: "Sign in to the portal" }).click();
  await page.getByLabel("API key").fill(own.secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Acme Inc.").waitFor();

  // Another tenant's link does not take its place unasked.
  const { token } = await service.api("POST", "/tenants/globex/portal-links", {});
  await page.goto(`${service.url}/portal?token=${token}`);
  await page.getByRole("link", { name: "Stay with Acme Inc." }).click();
  await page.locator(".own").getByText("Acme Inc.").waitFor();
  await page.goto(`${service.url}/portal?token=${token}`);
  await page.getByRole("button", { name: "Go on to Globex" }).click();
  await page.locator(".own").getByText("Globex").waitFor();
  await closeWindow(page);
});

test("an endpoint gives its handshake once its receiver can", async () => {
  const waits = await service.api("POST", "/tenants/acme/endpoints", endpoint(receiver.url("/shy"), { handshake: { type: "echo" } }));
  const page = await openWindow(browser);
  await signIn(page, service.url, `/console/tenants/acme/endpoints/${waits.id}`);
  await page.getByText("It waits for its handshake").waitFor();
  assert.equal(await page.getByRole("button", { name: "Send a test event" }).count(), 0);
  await page.getByRole("button", { name: "Run the handshake" }).click();
  await page.getByRole("heading", { name: "The handshake was not given" }).waitFor();
  receiver.answer = ({ body }) => {
    const { challenge } = JSON.parse(body);
    return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ challenge }) };
  };
  await page.getByRole("button", { name: "Run the handshake again" }).click();
  await page.getByText("The endpoint has given its handshake.").waitFor();
  await page.getByText("It works.").waitFor();
  await closeWindow(page);
});
