import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { isClosed, isOpen } from "./channel-ear.ts";
// @ts-expect-error a script
import { ACTS } from "./quic-hostile-acts.mjs";
import { closeEngines, dial, engine, pair, serve } from "./quic-rig.ts";

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Resolves when a process is no more. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

afterEach(closeEngines);

describe("a lost QUIC engine", () => {
  it("costs the connections, and the next dial starts another", async () => {
    const { server, dialler, near } = await pair();
    process.kill(dialler.pid ?? 0, "SIGKILL");
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({
      code: "ERR_CLOSED",
      reason: "QUIC_ENGINE_LOST",
      detail: { loss: "killed" },
    });
    expect(near.carrier.write(0, Buffer.from("x"))).toBe(false);
    const again = dial(dialler, server.listener.port);
    await again.ear.until(isOpen);
    expect([dialler.starts, server.engine.starts]).toEqual([2, 1]);
  });

  it("comes back with its listener on the same port, and warns", async () => {
    const { server, dialler, far } = await pair();
    process.kill(server.engine.pid ?? 0, "SIGKILL");
    await far.ear.until(isClosed);
    expect(far.ear.cause).toMatchObject({ reason: "QUIC_ENGINE_LOST" });
    expect(server.gate.size).toBe(0);
    // The port is dead until then, and QUIC sends its first packet again.
    const again = dial(dialler, server.listener.port);
    await again.ear.until(isOpen);
    expect(server.warnings).toEqual(["QUIC_ENGINE_RESTART"]);
    expect(server.engine.starts).toBe(2);
  });

  it.each([
    ["stopped", "SIGSTOP"],
    ["in an endless loop", "SIGUSR2"],
  ] as const)("is found when it is %s, while the node goes on", async (_, signal) => {
    const spinning = { script: script("quic-spinning-engine.mjs"), engineDeadlineMs: 3000 };
    const { server, far } = await pair({ engine: spinning });
    const pid = server.engine.pid ?? 0;
    process.kill(pid, signal);
    let turns = 0;
    const counting = setInterval(() => turns++, 50);
    await far.ear.until(isClosed);
    clearInterval(counting);
    expect(far.ear.cause).toMatchObject({ reason: "QUIC_ENGINE_LOST", detail: { loss: "silent" } });
    expect(turns).toBeGreaterThan(3);
    await gone(pid);
  });

  it("gives its connections up when its node hangs, so that the peers hear of it", async () => {
    const { near, far } = await pair({ engine: { nodeDeadlineMs: 1000 } });
    const end = Date.now() + 4000;
    while (Date.now() < end);
    await Promise.all([near, far].map(({ ear }) => ear.until(isClosed)));
    expect(far.ear.cause).toMatchObject({ reason: "QUIC_ENGINE_LOST", detail: { loss: "stalled" } });
    expect(near.ear.cause).toMatchObject({ reason: "CONNECTION_RESET" });
  });

  it("ends with its node", async () => {
    const parent = fork(script("quic-parent-child.mjs"));
    const [{ pid }] = (await once(parent, "message")) as [{ pid: number }];
    parent.kill("SIGKILL");
    await gone(pid);
  });

  it("does not keep the node alive once nothing uses it", async () => {
    const parent = fork(script("quic-parent-child.mjs"), ["leave"]);
    const [code] = await once(parent, "exit");
    expect(code).toBe(0);
  });

  it("says so when its owner closes it", async () => {
    const { dialler, near } = await pair();
    dialler.close();
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ code: "ERR_CLOSED", reason: "QUIC_ENGINE_CLOSED" });
    const late = dial(dialler, 1);
    await late.ear.until(isClosed);
    expect(late.ear.cause).toMatchObject({ code: "ERR_CLOSED", reason: "QUIC_ENGINE_CLOSED" });
  });
});

describe("a QUIC engine that cannot run", () => {
  it("fails dials and listeners with a reason, without trying again", async () => {
    const options = { script: script("quic-no-binding-engine.mjs") };
    const dialler = engine(options);
    const near = dial(dialler, 1);
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ code: "ERR_CONFIG", reason: "QUIC_BINDING_MISSING" });
    await expect(serve({ engine: options })).rejects.toMatchObject({ reason: "QUIC_BINDING_MISSING" });
    expect(dialler.starts).toBe(1);
  });
});

describe("a QUIC engine in strange hands", () => {
  it.each(Object.keys(ACTS).map((act, at) => [act, at + 1] as const))("is killed for %s", async (_, port) => {
    const warnings: string[] = [];
    const hostile = engine({ script: script("quic-hostile-engine.mjs") }, warnings);
    const near = dial(hostile, port);
    await near.ear.until(isClosed);
    expect(near.ear.cause).toMatchObject({ reason: "QUIC_ENGINE_LOST", detail: { loss: "protocol" } });
    expect(warnings).toEqual(["QUIC_ENGINE_RESTART"]);
  });
});
