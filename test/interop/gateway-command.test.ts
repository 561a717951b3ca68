import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { verifyChain } from "../../src/audit/verify-chain.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { runCli } from "../integration/cli-process.ts";
import { gatewayCommand, INSIDE, OTHER, OUTSIDE } from "./gateway-process.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, useRig } from "./rig.ts";

const FILTER = { allow: { functions: ["erlang:node/0"] } };
const rpc = (call: string): string => `rpc:call('${INSIDE}', ${call})`;
const SEQ = rpc("lists, seq, [1, 3]");

function records(dir: string): Record<string, unknown>[] {
  const files = readdirSync(dir).filter((name) => name.endsWith(".jsonl"));
  const lines = files.flatMap((name) => readFileSync(join(dir, name), "latin1").trim().split("\n"));
  expect(verifyChain(lines, new RealCrypto())).toMatchObject({ ok: true });
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describeWithErlang("sallyport gateway between Erlang nodes", () => {
  const t = useRig("tcp", (rig) => gatewayCommand(rig, FILTER));
  const since = async () => (await t.gateway.status()).pairs[0]?.sessions.map(({ sinceMs }) => sinceMs);

  it("joins them, and its status shows the session", async () => {
    expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
    expect(await t.outside.erl(rpc("erlang, node, []"))).toBe(`'${INSIDE}'`);
    expect(await t.gateway.event(({ event }) => event === "up")).toMatchObject({
      pair: "desk",
      outside: OUTSIDE,
      inside: INSIDE,
    });
    const status = await t.gateway.status();
    expect(status).toMatchObject({ state: "running", plaintext: true, audit: { commands: true, lost: 0 } });
    expect(status.pairs).toMatchObject([
      {
        name: "desk",
        commander: "outside",
        observedUntil: null,
        endpoints: [{ from: "outside", target: INSIDE, endpoint: `tcp://127.0.0.1:${t.port}` }],
        sessions: [
          {
            outside: OUTSIDE,
            inside: INSIDE,
            dialledBy: "outside",
            assurance: { outside: "cookie", inside: "cookie" },
          },
        ],
        totals: { up: 1, refused: 0 },
      },
    ]);
    expect(status.pairs[0]?.sessions[0]?.report?.tables["maxCalls"]).toMatchObject({ size: 0, limit: 16_384 });
    const { out } = await runCli(t.gateway.home, ["gateway", "status"]);
    expect(out).toContain(`${OUTSIDE}  ${INSIDE}  outside, 127.0.0.1:`);
    expect(out).toContain("plain TCP on the outside is on");
  });

  it("names the rule to add when something is refused, and lets it pass in the same session after a reload", async () => {
    const before = await since();
    expect(await t.outside.erl(SEQ)).toMatch(/badrpc/);
    const denied = await t.gateway.event(({ event, target }) => event === "denied" && target === "lists:seq/2");
    expect(denied).toMatchObject({ from: OUTSIDE, to: INSIDE, operation: "rpc", rule: "functions" });
    const entry = /^add "(.+)" to filter\.allow\.functions$/.exec(String(denied["advice"]))?.[1] ?? "";
    t.gateway.change((filter) => (filter["allow"] as { functions: string[] }).functions.push(entry));
    expect(await t.gateway.ask("reload")).toMatchObject({ changed: ["desk"], restarted: [], ended: 0 });
    expect(await t.outside.erl(SEQ)).toBe("[1,2,3]");
    expect(await since()).toEqual(before);
    const why = await t.gateway.ask("why", String(denied["decision"]));
    expect(why).toMatchObject({
      outcome: "deny-rule",
      verb: "rpc",
      target: "lists:seq/2",
      node: INSIDE,
      peer: OUTSIDE,
    });
    const unknown = await t.gateway.answer("why", "000000000000");
    expect(unknown).toMatchObject({ exit: 1, error: { reason: "DECISION_UNKNOWN" } });
  });

  it("does the same for a message of the inside node that nobody asked for", async () => {
    const before = await since();
    const keep = "fun F() -> receive M -> persistent_term:put(got, M), F() end end";
    await t.outside.erl(`register(watch, spawn(${keep}))`);
    const send = () => t.inside.erl(`{watch, '${OUTSIDE}'} ! {tick, 1}, ok`);
    await send();
    const denied = await t.gateway.event(({ event, from }) => event === "denied" && from === INSIDE);
    const rule = String(denied["advice"]).replace(/^add to filter\.inbox: /, "");
    t.gateway.change((filter) => Object.assign(filter, { inbox: [JSON.parse(rule)] }));
    expect(await t.gateway.ask("reload")).toMatchObject({ changed: ["desk"], ended: 0 });
    expect(await t.outside.erl("persistent_term:get(got, none)")).toBe("none");
    await send();
    await eventually(async () => expect(await t.outside.erl("persistent_term:get(got, none)")).toBe("{tick,1}"));
    expect(await since()).toEqual(before);
  });

  it("keeps what it has when the file is broken, and says where", async () => {
    const good = readFileSync(t.gateway.file, "utf8");
    t.gateway.write(good.replace('"pairs"', '"pair"'));
    const refused = await t.gateway.answer("reload");
    expect(refused).toMatchObject({ ok: false, exit: 2, error: { reason: "CONFIG_UNKNOWN_KEY" } });
    const where = `${t.gateway.file}:3:3: "pair" is not a top-level key; did you mean "pairs"?`;
    expect(refused.error["message"]).toContain(where);
    await t.gateway.event(({ event, ok }) => event === "reload" && ok === false);
    expect(await t.outside.erl(SEQ)).toBe("[1,2,3]");
    t.gateway.write(good);
    t.gateway.cli.child.kill("SIGHUP");
    await eventually(() => {
      const last = { event: "reload", ok: true, unchanged: ["desk"], changed: [] };
      expect(t.gateway.cli.events.at(-1)).toMatchObject(last);
    });
  });

  it("hands over: new connections go to the next process at once, old sessions go on in the old one", async () => {
    const old = t.gateway.cli;
    const gap = new GapProbe(t.port);
    expect(await t.gateway.ask("drain", "--hand-over", "--timeout", "600000")).toEqual({ sessions: 1 });
    const freedAt = performance.now();
    await t.gateway.start();
    const startMs = performance.now() - freedAt;
    expect(await gap.stop()).toBeLessThan(startMs + 500);
    expect(await t.other.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
    expect(await t.outside.erl(SEQ)).toBe("[1,2,3]");
    expect((await t.gateway.status()).pairs[0]?.sessions).toMatchObject([{ outside: OTHER }]);
    expect(old.child.exitCode).toBeNull();
    await t.outside.erl(`erlang:disconnect_node('${INSIDE}')`);
    const { code } = await old.ended;
    expect([code, old.events.at(-1)]).toMatchObject([0, { event: "stopped", reason: "handed over", ended: 1, cut: 0 }]);
    expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
  });

  it("drains: what is still up when the time is over is ended", async () => {
    const { cli } = t.gateway;
    expect(await t.gateway.ask("drain", "--timeout", "100")).toEqual({ ended: 0, cut: 2 });
    expect((await cli.ended).code).toBe(0);
    expect(cli.events.filter(({ event }) => event === "down")).toMatchObject([
      { reason: "GATEWAY_DRAINED" },
      { reason: "GATEWAY_DRAINED" },
    ]);
    const gone = await t.gateway.answer("status");
    expect(gone).toMatchObject({ exit: 4, error: { reason: "GATEWAY_NOT_RUNNING" } });
  });

  it("has recorded who came, what was refused, and who ran what where", async () => {
    const dir = join(t.gateway.home, "audit");
    const all = records(dir);
    expect(all).toContainEqual(
      expect.objectContaining({ kind: "attempt", outcome: "accepted", peer: OUTSIDE, target: INSIDE, pair: "desk" }),
    );
    expect(all).toContainEqual(
      expect.objectContaining({
        kind: "decision",
        outcome: "deny-rule",
        verb: "rpc",
        target: "lists:seq/2",
        peer: OUTSIDE,
        node: INSIDE,
      }),
    );
    expect(all).toContainEqual(
      expect.objectContaining({ kind: "refused", why: "operation", target: "watch", peer: INSIDE, node: OUTSIDE }),
    );
    expect(all).toContainEqual(
      expect.objectContaining({ kind: "command", verb: "rpc", target: "lists:seq/2", peer: OUTSIDE, node: INSIDE }),
    );
    expect(all).toContainEqual(expect.objectContaining({ kind: "end", reason: "GATEWAY_DRAINED", peer: OTHER }));
    const [after] = readdirSync(dir).filter((name) => name.startsWith("handed-over-"));
    expect(records(join(dir, String(after)))).toContainEqual(expect.objectContaining({ kind: "end", peer: OUTSIDE }));
  });
});

/** Dials a port again and again: how long nothing answered. */
class GapProbe {
  readonly #done: Promise<void>;
  #isOver = false;
  #refusedAt: number | undefined;
  #gapMs = 0;

  constructor(port: number) {
    this.#done = this.#run(port);
  }

  /** Milliseconds from the first refusal to the first success after it. */
  async stop(): Promise<number> {
    this.#isOver = true;
    await this.#done;
    expect(this.#refusedAt).toBeDefined();
    return this.#gapMs;
  }

  async #run(port: number): Promise<void> {
    while (!this.#isOver || this.#gapMs === 0) {
      const isThere = await answers(port);
      if (!isThere) this.#refusedAt ??= performance.now();
      else if (this.#refusedAt !== undefined && this.#gapMs === 0) this.#gapMs = performance.now() - this.#refusedAt;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
