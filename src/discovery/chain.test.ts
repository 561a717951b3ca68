import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Resolver } from "../node/ports.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { chainResolvers, MAX_ADDRESSES } from "./chain.ts";
import { staticResolver } from "./static.ts";

const X = parseNodeName("x@h");
const never = new AbortController().signal;
const at = (host: string): DialAddress => ({ scheme: "tls", host, port: 1 });

type Part =
  | "empty"
  | "found"
  | "silent"
  | "throws"
  | Error
  | { readonly answer: unknown }
  | { readonly notes: string[] };

function make() {
  const asked: string[] = [];
  const signals: AbortSignal[] = [];
  const clock = new VirtualClock();
  const part = (label: string, what: Part, extra: Partial<Resolver> = {}): Resolver => ({
    label,
    ...extra,
    resolve(_name, signal, note) {
      asked.push(label);
      signals.push(signal);
      if (what === "throws") throw new Error("at once");
      if (what instanceof Error) return Promise.reject(what);
      if (what === "silent") return new Promise(() => undefined);
      if (typeof what === "object" && "answer" in what) return Promise.resolve(what.answer as DialAddress[]);
      if (typeof what === "object") for (const text of what.notes) note?.(text);
      return Promise.resolve(what === "found" ? [at(label)] : []);
    },
  });
  const chain = (...parts: Resolver[]) => chainResolvers(parts, clock);
  return { asked, signals, clock, part, chain };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const unresolved = (asked: string) =>
  expect.objectContaining({ code: "ERR_UNREACHABLE", reason: "NAME_UNRESOLVED", detail: { asked } });

describe("chainResolvers", () => {
  it("asks one after the other and stops at the first that knows", async () => {
    const { chain, part, asked, clock } = make();
    const made = chain(part("a", "empty"), part("b", "found"), part("c", "found"));
    expect(await made.resolve(X, never)).toEqual([at("b")]);
    expect([asked, made.label, clock.pendingTimers]).toEqual([["a", "b"], "a, then b, then c", 0]);
  });

  it("goes on after one that fails, also at once, and one that gives rubbish", async () => {
    const { chain, part } = make();
    const made = chain(
      part("rejects", new Error("no\nway")),
      part("throws", "throws"),
      part("text", { answer: "h:1" }),
      part("broken", { answer: [{ scheme: "tls", host: "h", port: 0 }, null] }),
      part("b", "found"),
    );
    expect(await made.resolve(X, never)).toEqual([at("b")]);
  });

  it("says what each answered when nobody knows", async () => {
    const { chain, part } = make();
    const made = chain(
      part("rejects", new Error("no\nway")),
      part("throws", "throws"),
      part("text", { answer: "h:1" }),
      part("broken", { answer: [null] }),
      part("noted", { notes: ["one", "tw\u00f6"] }),
      part("empty", "empty"),
    );
    await expect(made.resolve(X, never)).rejects.toEqual(
      unresolved(
        "rejects: failed: no\\x0away; throws: failed: at once; text: an answer that is no list of addresses; " +
          "broken: nothing but broken addresses; noted: one, tw\\xf6; empty: nothing",
      ),
    );
    await expect(chain().resolve(X, never)).rejects.toEqual(unresolved("nobody"));
  });

  it("gives each its own time, tells the slow one to stop, and asks the next", async () => {
    const { chain, part, asked, clock, signals } = make();
    const resolving = chain(
      part("slow", "silent"),
      part("quick", "silent", { maxResolveMs: 100 }),
      part("c", "empty"),
    ).resolve(X, never);
    resolving.catch(() => undefined);
    await turn();
    clock.advance(1_999);
    await turn();
    expect([asked, signals[0]?.aborted]).toEqual([["slow"], false]);
    clock.advance(1);
    await turn();
    expect([asked, signals[0]?.aborted]).toEqual([["slow", "quick"], true]);
    clock.advance(100);
    await expect(resolving).rejects.toEqual(
      unresolved("slow: no answer within 2000 ms; quick: no answer within 100 ms; c: nothing"),
    );
    expect(clock.pendingTimers).toBe(0);
  });

  it("ends with the dial, and does not go on", async () => {
    const { chain, part, asked, clock, signals } = make();
    const controller = new AbortController();
    const resolving = chain(part("a", "silent"), part("b", "found")).resolve(X, controller.signal);
    await turn();
    controller.abort("gone");
    await expect(resolving).rejects.toBe("gone");
    expect([asked, signals[0]?.aborted, clock.pendingTimers]).toEqual([["a"], true, 0]);
  });

  it("ends where the node is known to dial only", async () => {
    const { part, chain, asked } = make();
    const made = chain(part("a", "empty"), staticResolver({ "x@h": "none" }, "tls"), part("b", "found"));
    await expect(made.resolve(X, never)).rejects.toMatchObject({ reason: "PEER_OFFLINE" });
    expect(asked).toEqual(["a"]);
  });

  it("takes any other error of ours as a failure of its resolver alone", async () => {
    const { part, chain } = make();
    const made = chain(part("a", new SallyportError("ERR_DENIED", "KEY_REVOKED", "x")), part("b", "found"));
    expect(await made.resolve(X, never)).toEqual([at("b")]);
  });

  it("tells what the others said when the answer is a guess, and only then", async () => {
    const { part, chain } = make();
    const notes: string[] = [];
    const note = (said: string) => void notes.push(said);
    await chain(part("a", { notes: ["no entry"] }), part("b", "found")).resolve(X, never, note);
    expect(notes).toEqual([]);
    await chain(part("a", { notes: ["no entry"] }), part("b", "found", { isGuess: true })).resolve(X, never, note);
    expect(notes).toEqual(["a: no entry"]);
  });

  it("takes a bounded number of addresses and of notes", async () => {
    const { part, chain } = make();
    const many = Array.from({ length: MAX_ADDRESSES + 5 }, (_, i) => at(`h${i}`));
    expect(await chain(part("a", { answer: many })).resolve(X, never)).toHaveLength(MAX_ADDRESSES);
    const said = chain(part("a", { notes: Array.from({ length: 100 }, () => "n") })).resolve(X, never);
    await expect(said).rejects.toEqual(unresolved("a: n, n, n, n, n, n, n, n"));
  });
});
