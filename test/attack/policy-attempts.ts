// What a client tries for each row of the matrix, and how it tells whether it got what it wanted. Looks at what the machine's
// handlers received, never at what the machine says of itself.
import { alias, atom, type Bytes, bin, genCall, int, list, NIL, pid, ref, tuple } from "./etf.ts";
import { op } from "./frames.ts";
import { type Attacker, deniedId, shown } from "./policy-client.ts";
import type { AttemptName } from "./policy-matrix-rows.ts";
import { aliasTerm, type Machine } from "./policy-rig.ts";

/** One direction: who asks, over which session, whom. */
export interface Asking {
  readonly machine: Machine;
  readonly peer: Attacker;
  /** Whether a connection of its own, before this session, got in. */
  readonly gotIn: boolean;
  /** The third of the three. */
  readonly third: string;
}

type Attempt = (asking: Asking) => Promise<boolean>;

const target = (machine: Machine, peer: Attacker, name: string): Bytes =>
  peer.theirPid(machine.pids[name] ?? { id: 0, serial: 0 });

/** It arrives where it should. */
const arrives =
  (sends: (asking: Asking) => void, where: string): Attempt =>
  async (asking) => {
    await asking.machine.arrived();
    sends(asking);
    await asking.peer.settles();
    return (await asking.machine.arrived()).some((line) => line.startsWith(where));
  };

/** It is answered, and not with a refusal. */
const answered =
  (sends: (asking: Asking) => Bytes): Attempt =>
  async (asking) => {
    const reference = shown(sends(asking));
    if (!(await asking.peer.settles())) return false;
    const isAbout = (text: string): boolean => text.includes(reference);
    const refused = asking.peer.said().some((text) => isAbout(text) && /denied|eperm|noproc/.test(text));
    if (refused) return false;
    // A refusal comes at once; what is allowed may take a moment.
    const answer = await asking.peer.hears(({ text }) => isAbout(text)).catch(() => undefined);
    return answer !== undefined && !/denied|eperm|noproc/.test(answer.text);
  };

/** No refusal comes back; the reference or pid that it would name is given. */
const unrefused =
  (sends: (asking: Asking) => Bytes): Attempt =>
  async (asking) => {
    const mark = asking.peer.heard.length;
    const named = shown(sends(asking));
    if (!(await asking.peer.settles())) return false;
    return !asking.peer.said(mark).some((text) => text.includes(named) && deniedId(text) !== undefined);
  };

let count = 0;

/** The desktop's question is answered by the peer; then once more, when nothing is open. */
async function replies({ machine, peer }: Asking, isOpen: boolean): Promise<boolean> {
  const key = `matrix${++count}`;
  const mark = peer.heard.length;
  await machine.ask("call", { key, name: "jobs", to: peer.name });
  const { text } = await peer.hears((message) => message.text.includes("$gen_call"), mark);
  const words = /\[alias\|#Ref<[^>]*?((?:\.\d+)+)>\]/.exec(text)?.[1]?.slice(1).split(".").map(Number) ?? [];
  const reference = ref(peer.victimName, peer.victimCreation, ...words);
  const answer = (value: string): void =>
    peer.send(op.aliasSend(peer.pid(), reference), tuple(alias(reference), atom(value)));
  answer("first");
  const first = await machine.ended(key);
  if (isOpen) return first.state === "answered" && first.value === "first";
  const before = await machine.unsolicited();
  answer("second");
  await peer.settles();
  const isDropped = (await machine.unsolicited()) === before + 1;
  return !isDropped || (await machine.ending(key)).value !== "first";
}

export const ATTEMPTS: Readonly<Record<AttemptName, Attempt>> = {
  connect: async ({ gotIn }) => gotIn,
  session: ({ peer }) => peer.settles(),
  names: answered(({ peer }) => peer.rpc("peers", "names", NIL)),
  sendName: arrives(({ peer }) => peer.regSend("jobs", bin("hello")), "jobs.info"),
  sendPid: arrives(
    ({ machine, peer }) => peer.send(op.sendSender(peer.pid(), target(machine, peer, "loose")), bin("hello")),
    "loose",
  ),
  call: answered(({ peer }) => peer.call("jobs", bin("question"))),
  replyOpen: (asking) => replies(asking, true),
  replyClosed: (asking) => replies(asking, false),
  monitor: unrefused(({ peer }) => peer.monitor(atom("jobs"))),
  link: unrefused(({ machine, peer }) => {
    const own = peer.pid(1_000 + ++count);
    peer.send(op.link(own, target(machine, peer, "mortal")));
    return own;
  }),
  exit: async ({ machine, peer }) => {
    peer.send(op.exit2(peer.pid(), target(machine, peer, "mortal"), atom("kill")));
    await peer.settles();
    const { mortal } = await machine.ask<Record<string, boolean>>("alive");
    if (mortal === true) return false;
    await machine.ask("again", { name: "mortal" });
    machine.pids = await machine.ask("pids");
    return true;
  },
  spawn: answered(({ peer }) => peer.spawn(["sallyport_fn", "worker", 0], NIL)),
  runSpawn: answered(({ peer }) => peer.spawn(["os", "cmd", 1], list(bin("id")))),
  runRpc: answered(({ peer }) => peer.rpc("os", "cmd", list(bin("id")))),
  admin: arrives(({ peer }) => {
    const from = tuple(peer.pid(), alias(peer.ref()));
    peer.regSend("machine", tuple(atom("system"), from, atom("get_state")));
  }, "machine.info"),
  registerName: takesName("db"),
  displaceName: takesName("jobs"),
  join: arrives(({ peer }) => {
    for (const scope of ["pg", "workers"])
      peer.regSend(scope, tuple(atom("join"), peer.pid(), atom("workers"), peer.pid()));
  }, "workers"),
  broadcast: arrives(({ peer }) => {
    for (const scope of ["pg", "workers"]) peer.regSend(scope, tuple(atom("broadcast"), atom("workers"), int(1)));
  }, "workers"),
  introspect: answered(({ peer }) => peer.rpc("metrics", "all", NIL)),
  transit: async ({ machine, peer, third }) => {
    await machine.arrived();
    const { connectedNodes } = await machine.health();
    peer.send(op.sendSender(peer.pid(), pid(third, 1, 0, 5)), bin("through"));
    if (!(await peer.settles())) return false;
    const now = (await machine.health()).connectedNodes;
    return (await machine.arrived()).length > 0 || now.length !== connectedNodes.length;
  },
  passOn: async (asking) => {
    const { machine, third } = asking;
    const grant = await machine.grant("passed", "handed", third);
    const sends = ({ peer }: Asking): void => peer.send(op.aliasSend(peer.pid(), aliasTerm(grant)), bin("passed on"));
    const isIn = await arrives(sends, "handed")(asking);
    await machine.ask("revoke", { key: "passed" });
    return isIn;
  },
};

function takesName(name: string): Attempt {
  return async ({ machine, peer }) => {
    const mark = peer.heard.length;
    const request = tuple(atom("register"), atom(name), peer.pid(), atom("undefined"));
    peer.regSend("global_name_server", genCall(peer.pid(), peer.ref(), request));
    await peer.settles();
    const isAnswered = peer.said(mark).some((text) => text.startsWith("{33,") || text.startsWith("{22,"));
    const { jobs } = await machine.ask<Record<string, unknown>>("pids");
    return isAnswered || JSON.stringify(jobs) !== JSON.stringify(machine.pids["jobs"]);
  };
}
