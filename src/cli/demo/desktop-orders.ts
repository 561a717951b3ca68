import { isSallyportError } from "../../base/errors.ts";
import { exit as exitProcess, type Node } from "../../node/api.ts";
import { atom, isAtom, type Pid, printTerm, type Term, Tuple, tuple } from "../../term/public.ts";
import { within } from "./desktop.ts";
import type { Answer } from "./machine.ts";
import type { Expected } from "./rows.ts";

/** How long an order may take, in milliseconds. */
const ORDER_MS = 4_000;

/** One thing that my_desktop does on another machine. */
export interface Order {
  readonly shown: string;
  readonly expected: Expected;
  /** What the receiver's policy is asked, to name the rule that lets it through. */
  readonly asks: readonly [verb: "call" | "rpc" | "spawn" | "monitor" | "link" | "exit", target: string];
  run(): Promise<Answer>;
}

/** An order whose answer is still a term. */
type Draft = Omit<Order, "run"> & { readonly run: () => Promise<Term> };

/** A machine that takes orders. */
export interface Ordered {
  readonly node: string;
  /** What is spawned there, as `spawnRemote` takes it, and as a policy names it. */
  readonly worker: readonly [fn: string, target: string];
  /** Whether something in that machine asks a policy. */
  readonly asks: boolean;
  /** Id of the rule that grants `Host.Stats:report/0` there; null where none does. */
  readonly look: string | null;
}

/** What my_desktop does on a machine, in this order: what is spawned is watched, linked and killed. */
export function ordersFor(node: Node, { node: there, worker, asks, look }: Ordered): readonly Order[] {
  let pid: Pid | undefined;
  let end: Promise<readonly [Term, Term]> | undefined;
  // Only its end shows that a process was really watched and linked: the three orders are one, seen from three sides.
  const ended = (): Promise<readonly [down: Term, exit: Term]> => {
    end ??= within(ORDER_MS, "the DOWN and the EXIT of a killed process", endOf(node, pid));
    return end;
  };
  const done = (by: string): Expected => ({ outcome: "done", by: asks ? by : "-" });
  const calling: readonly Draft[] = [
    {
      shown: 'call jobs {start, <<"build">>}',
      expected: done("level"),
      asks: ["call", "jobs"],
      run: async () => node.call({ name: "jobs", node: there }, tuple(atom("start"), Buffer.from("build"))),
    },
    {
      shown: "run Host.Stats:report/0",
      expected: look === null ? { outcome: "refused", by: "deny-default" } : done(look),
      asks: ["rpc", "Host.Stats:report/0"],
      run: async () => node.rpc(there, "Elixir.Host.Stats", "report", []),
    },
    {
      shown: 'run os:cmd("echo hi")',
      expected: asks ? { outcome: "refused", by: "deny-default" } : done("-"),
      asks: ["rpc", "os:cmd/1"],
      run: async () => node.rpc(there, "os", "cmd", [[...Buffer.from("echo hi")]]),
    },
  ];
  const commanding: readonly Draft[] = [
    {
      shown: `spawn ${worker[1]}`,
      expected: done("level"),
      asks: ["spawn", worker[1]],
      run: async () => {
        pid = await node.spawnRemote(there, worker[0], [Buffer.from("build")]);
        return pid;
      },
    },
    {
      shown: "monitor it: DOWN comes",
      expected: done("level"),
      asks: ["monitor", "any-pid"],
      run: async () => (await ended())[0],
    },
    {
      shown: "link to it: EXIT comes",
      expected: done("level"),
      asks: ["link", "any-pid"],
      run: async () => (await ended())[1],
    },
    {
      shown: "kill it",
      expected: done("level"),
      asks: ["exit", "any-pid"],
      run: async () => {
        const [reason] = await ended();
        if (!isAtom(reason, "killed")) throw new Error(`it ended with ${printTerm(reason)}`);
        return reason;
      },
    },
  ];
  return [...calling, ...commanding].map((order) => ({ ...order, run: () => answerTo(order.run) }));
}

/** Watches a process and links to it, kills it, and resolves with what both say. */
async function endOf(node: Node, pid: Pid | undefined): Promise<readonly [Term, Term]> {
  if (pid === undefined) throw new Error("nothing was spawned");
  const down = new Promise<Term>((resolve) => node.monitor(pid, ({ reason }) => resolve(reason)));
  const exit = new Promise<Term>((resolve) => {
    const linked = node.spawn(
      (message) => {
        resolve(message instanceof Tuple ? message.elements[2] : message);
        return exitProcess(atom("normal"));
      },
      { trapExit: true },
    );
    node.link(linked, pid);
  });
  node.exit(pid, atom("kill"));
  return Promise.all([down, exit]);
}

/** What an order brought. */
async function answerTo(run: () => Promise<Term>): Promise<Answer> {
  try {
    return { kind: "answered", text: printTerm(await run()) };
  } catch (error) {
    if (!isSallyportError(error)) return { kind: "failed", text: String(error) };
    const decision = error.detail["decision"];
    const id = typeof decision === "string" ? { decision } : {};
    return { kind: error.code === "ERR_DENIED" ? "refused" : "failed", text: `${error.code} ${error.reason}`, ...id };
  }
}
