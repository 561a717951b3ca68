import process from "node:process";
import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import type { Denied } from "../../node/api.ts";
import { quoteTerm } from "../../node/remote-failure.ts";
import { isAtom, type Term } from "../../term/types.ts";
import { type ConsoleEnd, RemoteConsole } from "../attach/console.ts";
import type { Front, FrontSink } from "../attach/front.ts";
import { DEFAULT_CONSOLE_LIMITS } from "../attach/limits.ts";
import { PipeFront } from "../attach/pipe-front.ts";
import { TerminalFront } from "../attach/terminal-front.ts";
import { hasElixir, SHELLS, type ShellKind } from "../attach/worker-calls.ts";
import type { AttachFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import { type Operation, withConnection } from "../one-shot.ts";
import { whileWaiting } from "../progress.ts";
import { clientFor } from "../running-node.ts";
import type { Terminal } from "../terminal.ts";

/** Longest wait for the shell to be told of the end, in milliseconds. */
const DRAIN_MS = 300;

/** `attach NODE`: the shell of the node, until one of the two leaves. */
export async function attach(world: CommandWorld, flags: AttachFlags, target: string): Promise<void> {
  // A shell is long, and a second node with the name and key of the one that runs would push its sessions aside.
  const running = await clientFor(world, flags);
  running?.close();
  const own: AttachFlags = running === undefined ? flags : { ...flags, control: false };
  await withConnection(world, own, target, (operation) => converse(world, own, operation), DRAIN_MS);
}

async function converse(world: CommandWorld, flags: AttachFlags, operation: Operation): Promise<void> {
  const { clock, terminal } = world;
  const { node, peer: worker, remainingMs } = operation;
  const name = quotePeerText(worker.name);
  const kind = await whileWaiting(terminal, `asking ${name} which shell it has`, kindOf(flags, operation));
  const denied: Denied[] = [];
  let refusals = 0;
  node.on("denied", (told) => {
    refusals += told.count;
    denied[0] = told;
  });
  const front = (sink: FrontSink): Front => {
    const { stdin, stdout } = process;
    return stdin.isTTY === true && stdout.isTTY === true
      ? new TerminalFront(stdin, stdout, clock, DEFAULT_CONSOLE_LIMITS.maxPasteBytes, sink)
      : new PipeFront(stdin, stdout, sink);
  };
  terminal.note(`attached to ${name} (${SHELLS[kind].says}); leave with ctrl-D, or ~. on a line of its own`);
  const shell = new RemoteConsole({ node, worker, clock, limits: DEFAULT_CONSOLE_LIMITS, front });
  const offStop = world.onStopSignal(() => shell.leave(true));
  let end: ConsoleEnd;
  try {
    const starting = shell.start(kind, remainingMs());
    if (!(await whileWaiting(terminal, `starting the shell of ${name}`, starting))) throw noShell(name, kind);
    end = await shell.over;
  } finally {
    offStop();
    shell.close();
  }
  report(terminal, name, end, { dropped: shell.refused, refusals, last: denied[0] });
}

/** @throws {SallyportError} ERR_REMOTE SHELL_MISSING, and as `node.rpc` */
async function kindOf(flags: AttachFlags, { node, peer, remainingMs }: Operation): Promise<ShellKind> {
  if (flags.erlang === true) return "erlang";
  if (await hasElixir(node, peer.name, remainingMs())) return "elixir";
  if (flags.elixir === true) throw noShell(quotePeerText(peer.name), "elixir");
  return "erlang";
}

/** What the worker did besides. */
interface Besides {
  readonly dropped: number;
  readonly refusals: number;
  readonly last: Denied | undefined;
}

/** @throws {SallyportError} ERR_CLOSED SHELL_LOST */
function report(terminal: Terminal, name: string, end: ConsoleEnd, { dropped, refusals, last }: Besides): void {
  const { yellow } = terminal.errorColours;
  if (dropped > 0)
    terminal.note(`${yellow("warning:")} ${name} asked for too much at once: ${dropped} requests were dropped`);
  if (last !== undefined) {
    const what = `${quotePeerText(last.verb)} ${quotePeerText(last.target)}`;
    terminal.note(`${yellow("warning:")} ${name} tried ${refusals} other things, all refused; the last: ${what}`);
  }
  switch (end.kind) {
    case "left":
      terminal.note(`left ${name}`);
      return;
    case "shell-ended":
      terminal.note(`the shell of ${name} has ended${why(end.reason)}`);
      return;
    case "lost":
      throw new SallyportError(
        "ERR_CLOSED",
        "SHELL_LOST",
        `the connection to ${name} was lost, and with it the shell`,
        {
          stage: "session",
          peer: name,
          advice: "see whether the node still runs; attach again when it does",
        },
      );
  }
}

function why(reason: Term): string {
  return isAtom(reason, "normal") ? "" : `: ${quoteTerm(reason)}`;
}

function noShell(name: string, kind: ShellKind): SallyportError {
  return new SallyportError("ERR_REMOTE", "SHELL_MISSING", `${name} has no ${SHELLS[kind].says} to run`, {
    stage: "call",
    peer: name,
    advice: kind === "elixir" ? "leave --elixir out, or use --erlang" : "see whether it is an Erlang node",
  });
}
