import { ExportFun, Pid, Reference, type Term, Tuple, tuple } from "../../term/public.ts";
import { Atom } from "../../term/types.ts";
import type { Control } from "../../wire/control-types.ts";
import type { AnswerMode, Knowledge, RawPid } from "./hostile-commands.ts";

/** A control message and its payload, as they go out. */
export type Raw = readonly [control: Control, payload?: Term];

/** What an attack is made of. */
export interface AttackParts {
  /** A process of the attacker's. */
  readonly own: Pid;
  /** The process of the attacked node that made the last call. */
  readonly caller: Pid;
  newRef(): Reference;
  readonly knowledge: Knowledge;
}

const word = (name: string): Atom => new Atom(name);
const pidOf = ([node, id, serial, creation]: RawPid): Pid => new Pid(node, id, serial, creation);
const PROGRESS = tuple(word("progress"), Buffer.from("forged"), 100);
const COMMAND: Term = ["touch sallyport-demo-was-here"];

/** The attacks by name: messages that no honest node sends, or that it would not send here. */
export const ATTACKS: Readonly<Record<string, (parts: AttackParts) => readonly Raw[]>> = {
  "message to a service": ({ own }) => [[{ kind: "reg-send", from: own, name: "job_events" }, PROGRESS]],
  "message to a pid": ({ own, knowledge }) => [
    [{ kind: "send", from: own, to: pidOf(knowledge.victim) }, word("hello")],
  ],
  call: ({ own, newRef }) => {
    const ref = newRef();
    return [
      [{ kind: "monitor", from: own, target: "vault", ref }],
      [{ kind: "reg-send", from: own, name: "vault" }, genCall(own, ref, word("open"))],
    ];
  },
  "monitor of what is there": ({ own, newRef }) => [[{ kind: "monitor", from: own, target: "vault", ref: newRef() }]],
  "monitor of what is not": ({ own, newRef }) => [[{ kind: "monitor", from: own, target: "no_such", ref: newRef() }]],
  "system message": ({ own, newRef }) => [
    [
      { kind: "reg-send", from: own, name: "vault" },
      tuple(word("system"), tuple(own, newRef()), tuple(word("terminate"), word("normal"))),
    ],
  ],
  spawn: ({ own, newRef }) => [spawnRequest(own, newRef(), "os", "cmd", COMMAND)],
  "spawn of a registered function": ({ own, newRef }) => [spawnRequest(own, newRef(), "sallyport_fn", "worker", [1])],
  erpc: ({ own, newRef }) => [
    spawnRequest(own, newRef(), "erpc", "execute_call", [newRef(), word("os"), word("cmd"), COMMAND]),
  ],
  rex: ({ own, newRef }) => [
    [
      { kind: "reg-send", from: own, name: "rex" },
      genCall(own, newRef(), tuple(word("call"), word("os"), word("cmd"), COMMAND, own)),
    ],
  ],
  kill: ({ own, knowledge }) => [
    [{ kind: "exit2", from: own, to: pidOf(knowledge.victim), reason: "payload" }, word("kill")],
  ],
  link: ({ own, knowledge }) => [[{ kind: "link", from: own, to: pidOf(knowledge.victim) }]],
  "exit over no link": ({ own, knowledge }) => [
    [{ kind: "exit", from: own, to: pidOf(knowledge.victim), reason: "payload" }, word("kill")],
  ],
  "group leader": ({ own, knowledge }) => [[{ kind: "group-leader", leader: own, to: pidOf(knowledge.victim) }]],
  output: ({ own, newRef }) => [
    [
      { kind: "reg-send", from: own, name: "user" },
      tuple(word("io_request"), own, newRef(), tuple(word("put_chars"), word("unicode"), Buffer.from("password: "))),
    ],
  ],
  "answer to no call": ({ own, caller, newRef }) => [
    [{ kind: "send", from: own, to: caller }, tuple(newRef(), word("yes"))],
  ],
  "answer by alias": ({ own, knowledge }) => {
    const { victim } = knowledge;
    const alias = new Reference(victim[0], victim[3], [1, 2, 3, 4, 5]);
    return [[{ kind: "alias-send", from: own, alias }, tuple(alias, word("yes"))]];
  },
  "DOWN of no monitor": ({ own, newRef, knowledge }) => [
    [
      { kind: "monitor-exit", target: own, to: pidOf(knowledge.victim), ref: newRef(), reason: "payload" },
      word("killed"),
    ],
  ],
  "reply to no spawn": ({ own, caller, newRef }) => [
    [{ kind: "spawn-reply", ref: newRef(), to: caller, flags: 0, result: own }],
  ],
  "forged sender": ({ knowledge }) => [
    [{ kind: "reg-send", from: pidOf(knowledge.third), name: "job_events" }, PROGRESS],
  ],
  "forged sender of the node itself": ({ caller, knowledge }) => [
    [{ kind: "exit2", from: caller, to: pidOf(knowledge.victim), reason: "payload" }, word("kill")],
  ],
};

/** What the attacker answers to a call: one answer, or one after the other. */
export function answersOf(mode: AnswerMode, third: RawPid | undefined): readonly Term[] {
  const honest = tuple(word("started"), Buffer.from("job"));
  switch (mode) {
    case "honest":
      return [honest];
    case "fun":
      return [tuple(word("started"), new ExportFun("os", "cmd", 1))];
    case "foreign":
      return [tuple(word("started"), pidOf(third ?? ["nobody@nowhere", 1, 0, 1]))];
    case "twice":
      return [honest, tuple(word("started"), Buffer.from("something else"))];
  }
}

function genCall(own: Pid, ref: Reference, request: Term): Term {
  return new Tuple([word("$gen_call"), tuple(own, ref), request]);
}

function spawnRequest(own: Pid, ref: Reference, module: string, fn: string, args: readonly Term[]): Raw {
  return [
    { kind: "spawn-request", ref, from: own, groupLeader: own, module, function: fn, arity: args.length, options: [] },
    [...args],
  ];
}
