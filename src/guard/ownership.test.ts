import { describe, expect, it } from "vitest";
import { Pid, Reference } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { forgedField } from "./ownership.ts";

const PEER = { node: "p@h", creation: 5 };
const US = { node: "us@h", creation: 9 };
const own = new Pid("p@h", 1, 0, 5);
const ownRef = new Reference("p@h", 5, [1, 2, 3]);
const ours = new Pid("us@h", 1, 0, 9);
const ourRef = new Reference("us@h", 9, [1, 2, 3]);
const strangers = {
  "another node": [new Pid("q@h", 1, 0, 5), new Reference("q@h", 5, [1, 2, 3])],
  "this node": [new Pid("us@h", 1, 0, 9), new Reference("us@h", 9, [1, 2, 3])],
  "the same name in another case": [new Pid("P@h", 1, 0, 5), new Reference("P@h", 5, [1, 2, 3])],
} as const;
const earlier = [new Pid("p@h", 1, 0, 4), new Reference("p@h", 4, [1, 2, 3])] as const;

/** Every message with the fields that must be the sender's own, each of them settable. */
const messages: Readonly<
  Record<
    string,
    { readonly make: (p: Pid, r: Reference) => Control; readonly fields: readonly string[]; readonly anyLife?: true }
  >
> = {
  send: { make: (from) => ({ kind: "send", from, to: ours }), fields: ["from"] },
  "reg-send": { make: (from) => ({ kind: "reg-send", from, name: "x" }), fields: ["from"] },
  "alias-send": { make: (from) => ({ kind: "alias-send", from, alias: ourRef }), fields: ["from"] },
  link: { make: (from) => ({ kind: "link", from, to: ours }), fields: ["from"] },
  unlink: { make: (from) => ({ kind: "unlink", from, to: ours }), fields: ["from"] },
  "unlink-id": { make: (from) => ({ kind: "unlink-id", id: 1n, from, to: ours }), fields: ["from"] },
  "unlink-id-ack": { make: (from) => ({ kind: "unlink-id-ack", id: 1n, from, to: ours }), fields: ["from"] },
  exit2: { make: (from) => ({ kind: "exit2", from, to: ours, reason: "payload" }), fields: ["from"] },
  exit: { make: (from) => ({ kind: "exit", from, to: ours, reason: "payload" }), fields: ["from"], anyLife: true },
  monitor: { make: (from, ref) => ({ kind: "monitor", from, target: "x", ref }), fields: ["from", "ref"] },
  demonitor: { make: (from, ref) => ({ kind: "demonitor", from, target: ours, ref }), fields: ["from", "ref"] },
  "monitor-exit": {
    make: (target) => ({ kind: "monitor-exit", target, to: ours, ref: ourRef, reason: "payload" }),
    fields: ["target"],
    anyLife: true,
  },
  "spawn-request": {
    make: (from, ref) => ({
      kind: "spawn-request",
      ref,
      from,
      groupLeader: ours,
      module: "m",
      function: "f",
      arity: 0,
      options: [],
    }),
    fields: ["from", "ref"],
  },
  "spawn-reply": {
    make: (result) => ({ kind: "spawn-reply", ref: ourRef, to: ours, flags: 0, result }),
    fields: ["child"],
  },
};

describe("forgedField", () => {
  for (const [kind, { make, fields, anyLife }] of Object.entries(messages)) {
    it(`passes a ${kind} whose identifiers are the peer's own`, () => {
      expect(forgedField(make(own, ownRef), PEER, US)).toBeUndefined();
    });

    it.each(Object.entries(strangers))(
      `finds what is forged in a ${kind} with an identifier of %s`,
      (_, [pid, ref]) => {
        expect(forgedField(make(pid, ownRef), PEER, US)).toBe(fields[0]);
        if (fields.length > 1) expect(forgedField(make(own, ref), PEER, US)).toBe(fields[1]);
      },
    );

    it(`${anyLife ? "lets pass" : "finds"} an identifier of an earlier life of the peer in a ${kind}`, () => {
      expect(forgedField(make(earlier[0], ownRef), PEER, US)).toBe(anyLife ? undefined : fields[0]);
      if (fields.length > 1) expect(forgedField(make(own, earlier[1]), PEER, US)).toBe(fields[1]);
    });
  }

  it("has nothing to judge in a send without sender, a name as target, an error as answer, and a group leader", () => {
    const controls: Control[] = [
      { kind: "send", from: undefined, to: ours },
      { kind: "monitor-exit", target: "srv", to: ours, ref: ourRef, reason: "payload" },
      { kind: "spawn-reply", ref: ourRef, to: ours, flags: 0, result: "eperm" },
      { kind: "group-leader", leader: ours, to: ours },
    ];
    for (const control of controls) expect(forgedField(control, PEER, US)).toBeUndefined();
  });

  it("takes a group leader of the peer or of this node, in this life of either, and no other", () => {
    const request = (groupLeader: Pid): Control => ({
      kind: "spawn-request",
      ref: ownRef,
      from: own,
      groupLeader,
      module: "m",
      function: "f",
      arity: 0,
      options: [],
    });
    for (const leader of [own, ours]) expect(forgedField(request(leader), PEER, US)).toBeUndefined();
    for (const leader of [earlier[0], new Pid("us@h", 1, 0, 8), new Pid("q@h", 1, 0, 5)]) {
      expect(forgedField(request(leader), PEER, US)).toBe("group leader");
    }
  });

  it("does not judge what is on our side", () => {
    for (const to of [ours, new Pid("us@h", 7, 7, 1), new Pid("q@h", 1, 0, 1)]) {
      expect(forgedField({ kind: "link", from: own, to }, PEER, US)).toBeUndefined();
    }
  });
});
