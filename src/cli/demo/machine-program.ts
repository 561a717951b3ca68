import { readFileSync } from "node:fs";
import process from "node:process";
import { isSallyportError } from "../../base/errors.ts";
import { createNode } from "../../create-node.ts";
import type { Node } from "../../node/api.ts";
import { atom, isAtom, Pid, parseTermText, printTerm, type Term, Tuple, tuple } from "../../term/public.ts";
import type { Answer, Told } from "./machine.ts";
import { type MachineCommand, type MachineStart, NO_ANSWER_MS } from "./machine-commands.ts";
import { answerLines } from "./typed-lines.ts";

// A machine of the demo in a process of its own: a node with the policy of its file, and someone who types at it. Nothing is
// granted in code: what others may do here is what the policy says.

const start = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as MachineStart;
const NOTHING: Answer = { kind: "nothing", text: "nothing" };

const node = await createNode({
  name: start.name,
  cookie: { file: start.cookieFile },
  listen: [start.listen],
  tls: { certFile: start.certFile, keyFile: start.keyFile, caFile: start.caFile },
  identity: { dir: start.keyDirectory, trust: "strict" },
  policy: start.policy,
  resolve: start.resolve,
  ...(start.epmdPort === null ? { epmd: "off" as const } : { epmd: "register" as const, epmdPort: start.epmdPort }),
});

let named: Pid | undefined;
let results = 0;
let refusals: Told[] = [];
node.on("denied", ({ decision, rule, outcome }) => refusals.push({ decision, rule, outcome }));
node.register("jobs", {
  call(request) {
    return request instanceof Tuple && isAtom(request.elements[0], "start")
      ? tuple(atom("started"), request.elements[1])
      : tuple(atom("error"), atom("badarg"));
  },
  info(message) {
    const [head, pid] = message instanceof Tuple ? message.elements : [];
    if (isAtom(head, "here") && pid instanceof Pid) named = pid;
  },
});
node.register("results", { info: () => void results++ });
node.registerFunction(
  "worker",
  (_args, ctx) => new Promise((resolve) => ctx.signal.addEventListener("abort", () => resolve(0))),
);
node.registerFunction({ module: "Elixir.Host.Stats", function: "report", arity: 0 }, () => [
  tuple(atom("processes"), node.vitals().processes),
]);

answerLines<MachineCommand>(node.endpoints[0] ?? "", {
  carryOut: (command) => carryOut(node, command),
  failed,
  left: () => node.close({ timeoutMs: 200 }),
});

async function carryOut(own: Node, command: MachineCommand): Promise<Answer> {
  switch (command.do) {
    case "call":
      return answered(await own.call(target(command), parseTermText(command.message), { timeoutMs: NO_ANSWER_MS }));
    case "send":
      await own.connect(command.node);
      own.send(target(command), parseTermText(command.message));
      return NOTHING;
    case "burst":
      for (let i = 0; i < command.count; i++) own.send(target(command), parseTermText(command.message));
      return NOTHING;
    case "rpc":
      return answered(await own.rpc(command.node, command.module, command.fn, listOf(command.args)));
    case "spawn":
      return answered(await own.spawnRemote(command.node, command.fn, listOf(command.args)));
    case "monitor":
      return await new Promise((resolve) => {
        own.monitor(target(command), ({ reason }) => resolve(signalled(reason)));
        setTimeout(() => resolve(NOTHING), NO_ANSWER_MS);
      });
    case "link":
      return await new Promise((resolve) => {
        const linker = own.spawn((message) => resolve(signalled(message)), { trapExit: true });
        own.link(linker, somebody());
        setTimeout(() => resolve(NOTHING), NO_ANSWER_MS);
      });
    case "exit":
      own.exit(somebody(), atom("kill"));
      return NOTHING;
    case "tell":
      own.send(somebody(), atom("hello"));
      return NOTHING;
    case "ping":
      return answered(printTerm(atom((await own.ping(command.node, { timeoutMs: NO_ANSWER_MS })).peer.protocol)));
    case "refusals": {
      const told = refusals;
      refusals = [];
      return { kind: "answered", text: JSON.stringify(told) };
    }
    case "results":
      return { kind: "answered", text: String(results) };
  }
}

function target({ name, node: there }: { readonly name: string; readonly node: string }): {
  name: string;
  node: string;
} {
  return { name, node: there };
}

function somebody(): Pid {
  if (named === undefined) throw new Error("nobody was named");
  return named;
}

function listOf(text: string): readonly Term[] {
  const term = parseTermText(text);
  return Array.isArray(term) ? term : [term];
}

function answered(term: Term): Answer {
  return { kind: "answered", text: printTerm(term) };
}

/** A DOWN or EXIT: it is a refusal when it says so. */
function signalled(reason: Term): Answer {
  const text = printTerm(reason);
  const decision = /sallyport_denied,<<"([0-9A-Z]+)">>/.exec(text)?.[1];
  return decision === undefined ? { kind: "answered", text } : { kind: "refused", text, decision };
}

function failed(error: unknown): Answer {
  if (!isSallyportError(error)) return { kind: "failed", text: String(error) };
  const decision = error.detail["decision"];
  const kind = error.code === "ERR_DENIED" ? "refused" : error.code === "ERR_DEADLINE" ? "nothing" : "failed";
  return { kind, text: `${error.code} ${error.reason}`, ...(typeof decision === "string" ? { decision } : {}) };
}
