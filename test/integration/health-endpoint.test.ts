import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  MAX_HTTP_CONNECTIONS,
  MAX_HTTP_DRAIN_MS,
  MAX_HTTP_HEAD_BYTES,
  MAX_HTTP_HEAD_MS,
} from "../../src/carrier/http-listener.ts";
import { type CheckResult, HEALTH_DEADLINE_MS } from "../../src/health/checks.ts";
import { type HealthEndpoint, openHealthEndpoint, PROBE_ANSWER_MS } from "../../src/health/health-endpoint.ts";
import { VirtualClock } from "../../src/testkit/virtual-clock.ts";

// Real sockets, and a clock that stands still: whoever is cut is cut because the test said so.

let endpoint: HealthEndpoint | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await endpoint?.close();
});

interface Parts {
  readonly clock: VirtualClock;
  /** How often the checks of `/ready` were run. */
  looks: number;
  ready: () => CheckResult | Promise<CheckResult>;
}

async function open(host = "127.0.0.1"): Promise<Parts> {
  const parts: Parts = { clock: new VirtualClock(), looks: 0, ready: () => ({ ok: true }) };
  const check = () => {
    parts.looks++;
    return parts.ready();
  };
  endpoint = await openHealthEndpoint(
    { host, ports: 0 },
    { "/live": [{ name: "live", check: () => ({ ok: true }) }], "/ready": [{ name: "certificates", check }] },
    parts.clock,
  );
  return parts;
}

const port = () => Number(new URL(endpoint?.url ?? "").port);

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A question as an orchestrator asks it. */
function ask(path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  const { method = "GET", headers = {}, body } = options;
  return new Promise<Answer>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: port(), path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode, headers: response.headers, text });
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** A connection that writes what it is told, and what came back until it was closed. */
async function raw(...writes: readonly (string | Buffer)[]): Promise<{ socket: Socket; closed: Promise<string> }> {
  const socket = connect({ host: "127.0.0.1", port: port() });
  sockets.push(socket);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(text));
  });
  await once(socket, "connect");
  for (const bytes of writes) socket.write(bytes);
  return { socket, closed };
}

/** More than the system keeps for a connection that is not read, in octets. */
const LARGE = 32 * 1024 * 1024;

const GET = "GET /live HTTP/1.1\r\nHost: localhost\r\n";

describe("a probe", () => {
  it("is answered in JSON, once a connection", async () => {
    await open();
    const { status, headers, text } = await ask("/live?verbose=1");
    expect([status, JSON.parse(text)]).toEqual([200, { status: "ok", checks: [{ name: "live", ok: true }] }]);
    expect(headers).toMatchObject({ connection: "close", "cache-control": "no-store" });
    expect(headers).not.toHaveProperty("access-control-allow-origin");
  });

  it("hears which check fails, and the rest goes on", async () => {
    const parts = await open();
    parts.ready = () => ({ ok: false, reason: "CERT_EXPIRED" });
    const { status, text } = await ask("/ready");
    const checks = [{ name: "certificates", ok: false, reason: "CERT_EXPIRED" }];
    expect([status, JSON.parse(text)]).toEqual([503, { status: "failed", checks }]);
    expect((await ask("/live")).status).toBe(200);
  });

  it("hears by the deadline which check hangs; others are answered meanwhile", async () => {
    const parts = await open();
    let started = (): void => undefined;
    const hangs = new Promise<void>((resolve) => {
      started = resolve;
    });
    parts.ready = () => {
      started();
      return new Promise(() => undefined);
    };
    const answers = [ask("/ready"), ask("/ready")];
    await hangs;
    expect((await ask("/live")).status).toBe(200);
    parts.clock.advance(HEALTH_DEADLINE_MS);
    const [first] = await Promise.all(answers);
    expect(first?.status).toBe(503);
    expect(JSON.parse(first?.text ?? "").checks).toEqual([
      { name: "certificates", ok: false, reason: "CHECK_TIMED_OUT" },
    ]);
  });

  it("is one look with others of its second", async () => {
    const parts = await open();
    await Promise.all([ask("/ready"), ask("/ready"), ask("/ready")]);
    expect(parts.looks).toBe(1);
    parts.clock.advance(PROBE_ANSWER_MS);
    await ask("/ready");
    expect(parts.looks).toBe(2);
  });

  it("without a body of its answer is as good", async () => {
    await open();
    const { status, text } = await ask("/live", { method: "HEAD" });
    expect([status, text]).toEqual([200, ""]);
  });

  it.each<readonly [string, number, Parameters<typeof ask>[1]]>([
    ["/", 404, {}],
    ["/live/", 404, {}],
    ["/toString", 404, {}],
    ["/__proto__", 404, {}],
    ["//live", 404, {}],
    ["/../live", 404, {}],
    ["/live", 405, { method: "POST" }],
    ["/live", 405, { method: "OPTIONS" }],
    ["/live", 413, { headers: { "Content-Length": "5" }, body: "hello" }],
    ["/live", 413, { headers: { "Transfer-Encoding": "chunked" }, body: "hello" }],
    ["/live", 421, { headers: { Host: "rebound.example" } }],
    ["/live", 421, { headers: { Host: "127.0.0.1.rebound.example:80" } }],
    ["/live", 200, { headers: { Host: "[::1]:9180" } }],
  ])("of %s: %i", async (path, status, options) => {
    await open();
    expect((await ask(path, options)).status).toBe(status);
  });

  it("may name any host where another address than this machine's own was chosen", async () => {
    await open("0.0.0.0");
    expect((await ask("/live", { headers: { Host: "pod.example" } })).status).toBe(200);
  });

  it("finds nobody once the endpoint is closed", async () => {
    await open();
    const { closed } = await raw("GET /");
    await endpoint?.close();
    await closed;
    await expect(ask("/live")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("somebody hostile", () => {
  it("drips a request, and is cut at the deadline, which no byte moves", async () => {
    const { clock } = await open();
    const { socket, closed } = await raw(GET);
    // By now the endpoint has seen the other one too.
    await ask("/live");
    for (let i = 0; i < 4; i++) {
      clock.advance(MAX_HTTP_HEAD_MS / 5);
      socket.write(`X-${i}: y\r\n`);
    }
    expect((await ask("/live")).status).toBe(200);
    expect(socket.destroyed).toBe(false);
    clock.advance(MAX_HTTP_HEAD_MS / 5);
    expect(await closed).toBe("");
  });

  it("says nothing at all, and is cut as well", async () => {
    const { clock } = await open();
    const { closed } = await raw();
    expect((await ask("/live")).status).toBe(200);
    clock.advance(MAX_HTTP_HEAD_MS);
    expect(await closed).toBe("");
  });

  it("holds more connections than there are, and keeps nobody out", async () => {
    await open();
    const held: Awaited<ReturnType<typeof raw>>[] = [];
    for (let i = 0; i < MAX_HTTP_CONNECTIONS + 20; i++) held.push(await raw("GET /live"));
    expect((await ask("/live")).status).toBe(200);
    // The oldest had to go, for the 20 and for the probe.
    await Promise.all(held.slice(0, 21).map(({ closed }) => closed));
    expect(held.slice(-10).every(({ socket }) => !socket.destroyed)).toBe(true);
  });

  it("asks for what hangs on all connections, and keeps nobody out", async () => {
    const parts = await open();
    parts.ready = () => new Promise(() => undefined);
    for (let i = 0; i < MAX_HTTP_CONNECTIONS; i++) await raw("GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect((await ask("/live")).status).toBe(200);
    expect(parts.looks).toBe(1);
  });

  it("sends a head without end", async () => {
    await open();
    const { closed } = await raw(GET, `X: ${"y".repeat(MAX_HTTP_HEAD_BYTES)}`);
    expect(await closed).toMatch(/^HTTP\/1\.1 431 /);
    expect((await ask("/live")).status).toBe(200);
  });

  it.each<readonly [string, string | Buffer]>([
    ["random bytes", Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 197 + 31) % 256))],
    ["a TLS ClientHello", Buffer.from("16030100a5010000a10303", "hex")],
    ["a request without a host", "GET /live HTTP/1.1\r\n\r\n"],
    ["two lengths", `${GET}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`],
    ["a length and chunks", `${GET}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["a bare line feed", "GET /live HTTP/1.1\nHost: localhost\nX : y\n\n"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("sends %s, and is closed", async (_, bytes) => {
    const { clock } = await open();
    const { closed } = await raw(bytes);
    expect((await ask("/live")).status).toBe(200);
    clock.advance(MAX_HTTP_HEAD_MS);
    expect(await closed).not.toMatch(/^HTTP\/1\.1 200 /);
  });

  it("puts requests in a row, and gets one answer", async () => {
    await open();
    const { closed } = await raw(`${GET}\r\n`.repeat(50));
    const text = await closed;
    expect(text.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect((await ask("/live")).status).toBe(200);
  });

  it("asks for a tunnel and for another protocol", async () => {
    await open();
    const { closed } = await raw("CONNECT host:22 HTTP/1.1\r\nHost: host:22\r\n\r\n");
    expect(await closed).not.toMatch(/ 200 /);
    const upgrade = await raw(`${GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    expect(await upgrade.closed).not.toMatch(/ 101 /);
  });

  it("waits for leave to send a body", async () => {
    await open();
    const { closed } = await raw(`${GET}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n`);
    expect(await closed).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("never reads its answer", async () => {
    const parts = await open();
    parts.ready = () => ({ ok: true, detail: { filler: "y".repeat(LARGE) } });
    const { socket, closed } = await raw();
    socket.pause();
    socket.write("GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await vi.waitFor(() => expect(parts.looks).toBe(1));
    expect((await ask("/live")).status).toBe(200);
    parts.clock.advance(MAX_HTTP_DRAIN_MS);
    socket.resume();
    expect((await closed).length).toBeLessThan(LARGE);
  });
});
