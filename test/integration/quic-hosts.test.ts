import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeWithHosts, Hosts } from "./namespaces.ts";

const CHILD = fileURLToPath(new URL("quic-host-child.mjs", import.meta.url));
const NODE = fileURLToPath(new URL("quic-node-child.mjs", import.meta.url));
const ALICE = "10.77.5.1";
const BOB = "10.77.5.2";
const BOBS_NEXT = "10.77.5.3";

describeWithHosts("a QUIC connection between hosts", () => {
  let hosts: Hosts;
  let children: ChildProcess[] = [];

  beforeEach(() => {
    hosts = Hosts.make({ alice: ALICE, bob: BOB });
  });
  afterEach(async () => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(
      children.map((child) => child.exitCode ?? child.signalCode ?? new Promise((r) => child.on("exit", r))),
    );
    children = [];
    hosts.remove();
  });

  const run = (host: string, ...args: string[]): ((wanted: string) => Promise<string>) => start(host, CHILD, ...args);

  function start(host: string, script: string, ...args: string[]): (wanted: string) => Promise<string> {
    const [program = "", ...words] = hosts.on(host);
    const child = spawn(program, [...words, process.execPath, script, ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    children.push(child);
    const heard: Record<string, unknown>[] = [];
    let wake = (): void => undefined;
    child.on("message", (message: Record<string, unknown>) => {
      heard.push(message);
      wake();
    });
    return async (wanted) => {
      for (;;) {
        const at = heard.findIndex((message) => wanted in message);
        if (at >= 0) return String(heard.splice(at, 1)[0]?.[wanted]);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
  }

  it("survives that one of them gets another address", async () => {
    const alice = run("alice", "listen", ALICE);
    const port = await alice("port");
    const bob = run("bob", "dial", ALICE, port);
    await bob("opened");
    const say = (text: string): unknown => children[1]?.send({ say: text });
    say("before");
    expect(await bob("text")).toBe("before");
    expect(await alice("from")).toMatch(`${BOB}:`);
    hosts.readdress("bob", BOB, BOBS_NEXT);
    say("after");
    expect(await bob("text")).toBe("after");
    say("later");
    expect(await bob("text")).toBe("later");
    // The first packet from there may still be counted to the old address.
    await alice("from");
    expect(await alice("from")).toMatch(`${BOBS_NEXT}:`);
  });

  it("keeps the session of two nodes when one of them gets another address", async () => {
    const dir = mkdtempSync(join(tmpdir(), "sallyport-quic-hosts-"));
    const alice = start("alice", NODE, "listen", `alice@${ALICE}`, ALICE, join(dir, "alice"));
    const bob = start("bob", NODE, "dial", `bob@${BOB}`, join(dir, "bob"), `alice@${ALICE}`, await alice("address"));
    await bob("ready");
    const story = async (): Promise<string> => {
      children[1]?.send({ tell: true });
      return bob("story");
    };
    expect(await story()).toBe("up up");
    hosts.readdress("bob", BOB, BOBS_NEXT);
    // The address from which it was asked before is gone, and the session is the same at both ends.
    for (let i = 0; i < 3; i++) expect(await story()).toBe("up up");
    rmSync(dir, { recursive: true, force: true });
  });
});
