// Every page in both themes, wide and narrow: nobody is kept out, nothing is cut off. Leaves pictures in the target folder.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";

import { barriers, closeWindow, isTooWide, openWindow, signIn, startBrowser } from "./browser.mjs";
import { endpoint, startReceiver, startService, until } from "./service.mjs";

const PICTURES = process.env.POSTHASTE_E2E_PICTURES;

let service, browser, receiver, ids;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  service = await startService();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  receiver?.stop();
  await service?.stop();
});

// The longest names that there can be, with no place to break them, and names from right to left.
const LONG = { tenant: "t".repeat(64), topic: "o".repeat(128), event: "e".repeat(128), path: `/${"p".repeat(1_500)}` };
const HEBREW = "חברת המשלוחים של תל אביב (1998) בע״מ";

/// Something of everything.
async function fill() {
  const { api } = service;
  let turn = 0;
  receiver = await startReceiver(({ path }) => {
    turn += 1;
    if (path === "/orders") return { status: 204, after: 5 + (turn % 7) * 12 };
    if (path === "/crm") {
      return turn % 3 === 0
        ? { status: 200, body: "ok", after: 40 }
        : { status: 503, headers: { "content-type": "text/plain", server: "nginx" }, body: "upstream connect error or disconnect/reset before headers", after: 90 };
    }
    const body = JSON.stringify({ error: "unknown field", field: "data.total", request: "7f9c2ba4e88f827d" });
    return { status: 422, headers: { "content-type": "application/json", "x-request-id": "7f9c2ba4e88f827d" }, body, after: 25 };
  });
  for (const [topic, description] of [["order.paid", "An order was paid"], ["order.refunded", "An order was refunded"], ["user.invited", "Somebody was invited"]]) {
    await api("PUT", `/topics/${topic}`, { description });
  }
  await api("PUT", "/tenants/acme", { name: "Acme Inc." });
  await api("PUT", "/tenants/globex", { name: "Globex" });
  const make = (tenant, path, more) => api("POST", `/tenants/${tenant}/endpoints`, endpoint(receiver.url(path), more));
  const orders = await make("acme", "/orders", { topics: ["order.*"], description: "Warehouse" });
  const billing = await make("acme", "/billing", { topics: ["order.*"], description: "Billing", retry: { schedule: ["300ms", "400ms"] } });
  await make("globex", "/crm", { topics: ["*"], description: "CRM", retry: { schedule: ["200ms", "1h"] } });
  const paused = await make("globex", "/orders", { topics: ["order.paid"], description: "Being moved" });
  await api("POST", `/tenants/globex/endpoints/${paused.id}/pause`);
  const waits = await make("acme", "/orders", { topics: ["user.invited"], description: "New", handshake: { type: "echo" } });
  const viewer = await api("POST", "/keys", { name: "Dashboard in the hall", role: "viewer" });
  await api("POST", "/keys", { name: "Ada", role: "operator", expires_at: "2099-01-01T00:00:00Z" });
  await api("POST", "/keys", { name: "Acme’s own systems", role: "tenant", tenant: "acme" });
  for (let n = 1; n <= 40; n += 1) {
    const data = { order: 1000 + n, total: { amount: `${n * 7}.50`, currency: "EUR" }, lines: [{ sku: `A-${n}`, quantity: 1 + (n % 3) }] };
    const topic = n % 5 === 0 ? "order.refunded" : "order.paid";
    await api("POST", `/tenants/${n % 4 === 0 ? "globex" : "acme"}/events`, { topic, id: `order-${1000 + n}`, data });
  }
  await api("POST", "/tenants/acme/events", { topic: "user.invited", id: "invited-1", data: { email: "a@example.com" } });
  const failed = await until("billing gave up", async () => {
    const found = await api("GET", `/tenants/acme/deliveries?state=exhausted&endpoint=${billing.id}&limit=500`);
    return found.data.length === 30 && found.data;
  });
  await until("the CRM failed", async () => (await api("GET", "/tenants/globex/deliveries?failed=true")).data.length > 0);
  const replay = await api("POST", "/tenants/acme/replays", { filter: { endpoint: billing.id }, rate: 1 });
  await until("the numbers are there", async () => (await api("GET", "/stats")).total.exhausted >= 30);
  const { token } = await api("POST", "/tenants/acme/portal-links", {});
  const waiting = (await api("GET", "/tenants/globex/deliveries?failed=true")).data[0];
  return { orders, billing, waits, waiting, delivery: failed[0], replay, token, viewer: viewer.secret };
}

/// The longest names, and names from right to left.
async function fillWithNames() {
  const { api } = service;
  await api("PUT", `/topics/${LONG.topic}`, { description: "d".repeat(2_000) });
  await api("PUT", `/tenants/${LONG.tenant}`, { name: "n".repeat(200) });
  await api("PUT", "/tenants/hebrew", { name: HEBREW });
  const metadata = { ["m".repeat(100)]: "v".repeat(500) };
  const make = (tenant, path, more) => api("POST", `/tenants/${tenant}/endpoints`, endpoint(receiver.url(path), more));
  const long = await make(LONG.tenant, LONG.path, { topics: [LONG.topic], description: "w".repeat(500), metadata });
  const hebrew = await make("hebrew", "/billing", { topics: ["order.paid"], description: HEBREW });
  const data = { ["k".repeat(300)]: "x".repeat(3_000) };
  await api("POST", `/tenants/${LONG.tenant}/events`, { topic: LONG.topic, id: LONG.event, data, metadata });
  await api("POST", "/tenants/hebrew/events", { topic: "order.paid", id: "hebrew-1", data: { name: HEBREW }, metadata: { name: HEBREW } });
  const exhausted = (tenant) =>
    until(`${tenant} gave up`, async () => (await api("GET", `/tenants/${tenant}/deliveries?state=exhausted`)).data[0]);
  await api("POST", "/keys", { name: "k".repeat(200), role: "tenant", tenant: LONG.tenant });
  await api("POST", "/keys", { name: HEBREW, role: "viewer" });
  const ends = { long: await exhausted(LONG.tenant), hebrew: await exhausted("hebrew") };
  const { token } = await api("POST", `/tenants/${LONG.tenant}/portal-links`, {});
  return { long, hebrew, ends, token };
}

/// The whole page, but for the end of one that is very long.
async function picture(page, path, width) {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, 1500) } });
}

/// Looks at a page in both themes and both widths.
async function look(page, name, path) {
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 800 });
      await page.goto(service.url + path);
      await page.getByRole("heading").first().waitFor();
      assert.deepEqual(await barriers(page), [], `${name}, ${theme}, ${width}`);
      assert.equal(await isTooWide(page), false, `${name} at ${width}`);
      await picture(page, `${PICTURES}/${name}-${width}-${theme}.png`, width);
    }
  }
}

test("pages with nothing on them say what to do first", async () => {
  const page = await openWindow(browser);
  await look(page, "sign-in", "/console");
  await look(page, "portal-sign-in", "/portal/sign-in");
  await signIn(page, service.url);
  for (const [name, path] of [
    ["first-steps", "/console"],
    ["no-deliveries", "/console/deliveries"],
    ["no-events", "/console/events"],
    ["no-endpoints", "/console/endpoints"],
    ["no-live", "/console/live"],
    ["no-replays", "/console/replays"],
    ["no-topics", "/console/topics"],
    ["no-keys", "/console/keys"],
    ["no-audit", "/console/audit"],
    ["no-page", "/console/nothing"],
  ]) {
    await look(page, name, path);
  }
  await closeWindow(page);
});

test("every page of the console", async () => {
  ids = await fill();
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const { orders, billing, waits, waiting, delivery, replay } = ids;
  for (const [name, path] of [
    ["replay", `/console/tenants/acme/replays/${replay.id}`],
    ["overview", "/console"],
    ["deliveries", "/console/deliveries?failed=true&since=1h"],
    ["refused", "/console/deliveries?since=yesterday"],
    ["delivery", `/console/tenants/acme/deliveries/${delivery.id}`],
    ["retrying", `/console/tenants/globex/deliveries/${waiting.id}`],
    ["events", "/console/events"],
    ["event", "/console/tenants/acme/events/invited-1"],
    ["endpoints", "/console/endpoints?tenant=acme"],
    ["endpoint", `/console/tenants/acme/endpoints/${billing.id}`],
    ["endpoint-waits", `/console/tenants/acme/endpoints/${waits.id}`],
    ["endpoint-form", `/console/tenants/acme/endpoints/${orders.id}/edit`],
    ["tenants", "/console/tenants"],
    ["tenant", "/console/tenants/acme"],
    ["topics", "/console/topics"],
    ["keys", "/console/keys"],
    ["audit", "/console/audit"],
    ["replays", "/console/replays"],
    ["new-replay", "/console/replays/new?tenant=acme&state=exhausted"],
    ["new-replay-whose", "/console/replays/new?state=exhausted"],
    ["live", "/console/live"],
  ]) {
    await look(page, name, path);
  }
  await closeWindow(page);
});

test("the pages of who may change nothing", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url, "/console", ids.viewer);
  for (const [name, path] of [
    ["viewer", "/console"],
    ["viewer-deliveries", "/console/deliveries?failed=true"],
    ["viewer-delivery", `/console/tenants/acme/deliveries/${ids.delivery.id}`],
    ["viewer-endpoint", `/console/tenants/acme/endpoints/${ids.orders.id}`],
    ["viewer-tenant", "/console/tenants/acme"],
    ["viewer-topics", "/console/topics"],
  ]) {
    await look(page, name, path);
    const pressed = (await page.getByRole("button").allTextContents()).filter((name) => !["Theme", "Sign out", "Search", "Copy"].includes(name));
    assert.deepEqual(pressed, [], path);
  }
  await closeWindow(page);
});

test("every page of the portal", async () => {
  const page = await openWindow(browser);
  await look(page, "portal-expired", "/portal");
  await page.goto(`${service.url}/portal?token=${ids.token}`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  for (const [name, path] of [
    ["portal", "/portal"],
    ["portal-deliveries", "/portal/deliveries"],
    ["portal-delivery", `/portal/tenants/acme/deliveries/${ids.delivery.id}`],
    ["portal-endpoints", "/portal/endpoints"],
    ["portal-endpoint", `/portal/tenants/acme/endpoints/${ids.orders.id}`],
    ["portal-new-endpoint", "/portal/tenants/acme/endpoints/new"],
    ["portal-replay", `/portal/tenants/acme/replays/${ids.replay.id}`],
    ["portal-events", "/portal/events"],
    ["portal-live", "/portal/live"],
  ]) {
    await look(page, name, path);
  }
  await closeWindow(page);
});

test("the longest names, and names from right to left", async () => {
  const page = await openWindow(browser);
  await signIn(page, service.url);
  const { long, hebrew, ends, token } = await fillWithNames();
  const of = `/console/tenants/${LONG.tenant}`;
  for (const [name, path] of [
    ["long-overview", "/console"],
    ["long-topics", "/console/topics"],
    ["long-tenants", "/console/tenants"],
    ["long-keys", "/console/keys"],
    ["long-audit", "/console/audit"],
    ["long-tenant", of],
    ["long-endpoint", `${of}/endpoints/${long.id}`],
    ["long-endpoint-form", `${of}/endpoints/${long.id}/edit`],
    ["long-endpoints", `/console/endpoints?tenant=${LONG.tenant}`],
    ["long-event", `${of}/events/${LONG.event}`],
    ["long-events", `/console/events?tenant=${LONG.tenant}`],
    ["long-delivery", `${of}/deliveries/${ends.long.id}`],
    ["long-deliveries", `/console/deliveries?tenant=${LONG.tenant}`],
    ["hebrew-tenant", "/console/tenants/hebrew"],
    ["hebrew-endpoint", `/console/tenants/hebrew/endpoints/${hebrew.id}`],
    ["hebrew-event", "/console/tenants/hebrew/events/hebrew-1"],
    ["hebrew-delivery", `/console/tenants/hebrew/deliveries/${ends.hebrew.id}`],
  ]) {
    await look(page, name, path);
  }
  await page.goto(`${service.url}/portal?token=${token}`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await look(page, "long-portal", "/portal");
  await closeWindow(page);
});
