// The real binary, and receivers that answer as they are told.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const KEY = "browser-tests-admin-key-0123456789";

/// How long is waited for what has to come.
const WITHIN = 30_000;

/// Starts the service on an empty store and a free port.
export async function startService(settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), "posthaste-e2e-"));
  const child = spawn(process.env.POSTHASTE_BINARY, ["serve", "--listen", "127.0.0.1:0"], {
    env: {
      POSTHASTE_ADMIN_KEY: KEY,
      POSTHASTE_DATA_DIR: folder,
      POSTHASTE_EGRESS_ALLOW: "127.0.0.0/8",
      POSTHASTE_LOG_LEVEL: "warn",
      ...settings,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const address = /listens on (http:\S+)/.exec(line);
      if (address) resolve(address[1]);
    });
    ended.then(([code]) => reject(new Error(`the service ended with ${code}`)));
  });
  return {
    url,
    api: (method, path, body, key = KEY) => call(url, key, method, path, body),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function call(url, key, method, path, body) {
  const answer = await fetch(`${url}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/// Starts a receiver. `answer` says for each request what comes back: `{status, headers, body, after}`; null: nothing ever.
export async function startReceiver(answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const received = { path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() };
    requests.push(received);
    const given = receiver.answer(received);
    if (given === null) return;
    const { status = 200, headers = {}, body = "", after = 0 } = given;
    setTimeout(() => response.writeHead(status, headers).end(body), after);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver = {
    answer,
    requests,
    url: (path) => `http://127.0.0.1:${server.address().port}${path}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  return receiver;
}

/// Asks again and again until it is so.
export async function until(what, ask) {
  const end = Date.now() + WITHIN;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/// Makes an endpoint that is tried again soon, and publishes nothing.
export function endpoint(url, more = {}) {
  return { url, retry: { schedule: ["100ms", "200ms"] }, ...more };
}
