import type { HandlerContext, Node, ReplyTerm, ServiceHandlers } from "../node/api.ts";
import { Atom, atomName, Float, type Term, Tuple } from "../term/public.ts";

/** Who may use the demo services: every peer whose cookie or certificate was proven. */
const ALLOW = "cookie";

/** Longest sleep a peer may ask for, in milliseconds. */
const MAX_SLEEP_MS = 600_000;

const OK = new Atom("ok");
const BADARG: Term = new Tuple([new Atom("error"), new Atom("badarg")]);

/**
 * Registers what `--demo-services` offers:
 * - `echo`: a call returns its request;
 * - `calc`: `{add, A, B}`, `{subtract, A, B}`, `{multiply, A, B}` return `{ok, Result}`, all else `{error, badarg}`;
 * - `counter`: call `get` returns the count, cast `{add, N}` raises it, a plain `reset` sets it to 0;
 * - function `sleep` for spawn: lives for `[Milliseconds]`;
 * - functions `demo:add/2` and `demo:sleep/1` for rpc.
 */
export function registerDemoServices(node: Node): void {
  const options = { allow: ALLOW } as const;
  node.register("echo", { call: (request) => request }, options);
  node.register("calc", { call: calculate }, options);
  node.register("counter", counter(), options);
  const functions = { allow: { atLeast: ALLOW, verbs: ["rpc", "spawn"] } } as const;
  node.registerFunction("sleep", sleep, functions);
  node.registerFunction({ module: "demo", function: "sleep", arity: 1 }, sleep, functions);
  node.registerFunction({ module: "demo", function: "add", arity: 2 }, ([a, b]) => sum(a, b), functions);
}

function calculate(request: Term): Term {
  if (!(request instanceof Tuple) || request.length !== 3) return BADARG;
  const [operation, a, b] = request.elements;
  const left = numberOf(a);
  const right = numberOf(b);
  if (left === undefined || right === undefined) return BADARG;
  switch (atomName(operation)) {
    case "add":
      return result(
        left,
        right,
        (x, y) => x + y,
        (x, y) => x + y,
      );
    case "subtract":
      return result(
        left,
        right,
        (x, y) => x - y,
        (x, y) => x - y,
      );
    case "multiply":
      return result(
        left,
        right,
        (x, y) => x * y,
        (x, y) => x * y,
      );
    default:
      return BADARG;
  }
}

function sum(a: Term, b: Term): Term {
  const answer = calculate(new Tuple([new Atom("add"), a, b]));
  if (answer instanceof Tuple && answer.elements[0] === OK) return answer.elements[1];
  throw new Error("demo:add/2 takes two numbers");
}

/** Integers as bigint, floats as number; undefined for what is no number. */
function numberOf(term: Term): number | bigint | undefined {
  if (term instanceof Float) return term.value;
  if (typeof term === "bigint") return term;
  if (typeof term !== "number") return undefined;
  return Number.isSafeInteger(term) ? BigInt(term) : term;
}

function result(
  a: number | bigint,
  b: number | bigint,
  integers: (a: bigint, b: bigint) => bigint,
  floats: (a: number, b: number) => number,
): Term {
  if (typeof a === "bigint" && typeof b === "bigint") return new Tuple([OK, integers(a, b)]);
  const value = floats(Number(a), Number(b));
  return Number.isFinite(value) ? new Tuple([OK, new Float(value)]) : BADARG;
}

function counter(): ServiceHandlers {
  let count = 0;
  return {
    call: (request) => (atomName(request) === "get" ? count : BADARG),
    cast(message) {
      if (!(message instanceof Tuple) || message.length !== 2 || atomName(message.elements[0]) !== "add") return;
      const step = message.elements[1];
      if (typeof step === "number" && Number.isSafeInteger(count + step)) count += step;
    },
    info(message) {
      if (atomName(message) === "reset") count = 0;
    },
  };
}

/** Ends after the time given, or as soon as nobody waits for it any more. */
function sleep(args: readonly Term[], ctx: HandlerContext): Promise<ReplyTerm> {
  const [ms] = args;
  if (args.length !== 1 || typeof ms !== "number" || !(ms >= 0 && ms <= MAX_SLEEP_MS)) {
    throw new Error(`sleep takes milliseconds from 0 to ${MAX_SLEEP_MS}`);
  }
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve(OK);
    };
    const timer = setTimeout(done, ms);
    ctx.signal.addEventListener("abort", done, { once: true });
  });
}
