import type { MonotonicMs } from "../base/clock.ts";
import { assertNever } from "../base/errors.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { quiet, rejected, selfConnect, unexpected, unexpectedOk, untrusted, wrongNode } from "./barrel-failures.ts";
import type { BarrelHello, BarrelMessage } from "./barrel-messages.ts";
import {
  type BarrelContext,
  type BarrelEvent,
  type BarrelStep,
  type Claimed,
  capped,
  checkChallenge,
  checkNotOwn,
  checkResponse,
  claimOf,
  type Ended,
  fail,
  type Granted,
  makeChallenge,
  type OwnChallenge,
  proceed,
  sendChallenge,
  sendHello,
  sendResponse,
} from "./barrel-step.ts";
import type { BarrelSession, BarrelTrustAnswer } from "./barrel-types.ts";

/** What a dialling machine is given for its whole life. */
export interface BarrelDiallerContext extends BarrelContext {
  /** The dialled name: the only one that may answer. */
  readonly target: NodeName;
}

/** The states of the dialling side, in their order (barrel-auth section 4.1). */
export type BarrelDiallerState =
  | { readonly kind: "expect-hello" }
  | { readonly kind: "await-trust"; readonly claimed: Claimed }
  /** The other side wants no proof; whether we take it without one is asked. */
  | { readonly kind: "await-cookie-trust" }
  | { readonly kind: "expect-challenge"; readonly peer: Granted; readonly own: OwnChallenge }
  | { readonly kind: "expect-response"; readonly peer: Granted; readonly own: OwnChallenge }
  | { readonly kind: "expect-ok"; readonly peer: Granted }
  | { readonly kind: "authenticated"; readonly session: BarrelSession }
  | Ended;

type Step = BarrelStep<BarrelDiallerState>;

/** Sends HELLO. */
export function startBarrelDialler(context: BarrelDiallerContext): Step {
  if (sameNode(context.target, context.own.name)) return fail(selfConnect(context.target), false);
  return proceed({ kind: "expect-hello" }, sendHello(context));
}

/** The next state and what is to be done. Pure but for the randomness and the cryptography in `context`. */
export function stepBarrelDialler(
  context: BarrelDiallerContext,
  state: BarrelDiallerState,
  event: BarrelEvent,
  now: MonotonicMs,
): Step {
  if (event.kind === "trust") return trusted(context, state, event.answer, now);
  const { message } = event;
  // barrel's dialler takes FAIL for what it is in every state.
  if (message.kind === "fail" && state.kind !== "authenticated" && state.kind !== "ended") {
    return fail(rejected(message.reason, context.target), true);
  }
  switch (state.kind) {
    case "expect-hello":
      if (message.kind === "hello") return takeHello(context, message);
      return message.kind === "ok" ? takeEarlyOk(context) : surprise("HELLO", message);
    case "expect-challenge": {
      if (message.kind !== "challenge") return surprise("CHALLENGE", message);
      const bad = checkChallenge(context, "dialler", state.peer.name, message, now);
      if (bad !== undefined) return fail(bad, true);
      return proceed({ ...state, kind: "expect-response" }, sendResponse(context, message));
    }
    case "expect-response": {
      if (message.kind !== "response") return surprise("RESPONSE", message);
      const bad = checkResponse(context, state.peer, state.own, message, now, undefined);
      return bad === undefined ? proceed({ kind: "expect-ok", peer: state.peer }) : fail(bad, true);
    }
    case "expect-ok": {
      if (message.kind !== "ok") return surprise("OK", message);
      const { name: peer, publicKey, assurance } = state.peer;
      return authenticated({ role: "dialler", peer, method: "key", publicKey, assurance });
    }
    case "await-trust":
    case "await-cookie-trust":
      return surprise("nothing at this point", message);
    case "authenticated":
    case "ended":
      // Our stream has its FIN. barrel would take these bytes for frames of the session.
      return fail(unexpected("nothing more", message.kind), false);
    default:
      return assertNever(state);
  }
}

function takeHello(context: BarrelDiallerContext, hello: BarrelHello): Step {
  const bad = checkNotOwn(context, hello);
  if (bad !== undefined) return fail(bad, true);
  const claimed = claimOf(hello);
  if ("error" in claimed) return fail(claimed, true);
  if (!sameNode(claimed.name, context.target)) return fail(wrongNode(context.target, claimed.name), true);
  const { name, publicKey } = claimed;
  return proceed(
    { kind: "await-trust", claimed },
    { kind: "ask-trust", question: { role: "dialler", name, method: "key", publicKey } },
  );
}

/** Whoever ends the QUIC session can send it, so our own list alone decides (section 5.3). */
function takeEarlyOk({ target, tools }: BarrelDiallerContext): Step {
  if (!tools.cookieOnly(target)) return fail(unexpectedOk(target), true);
  return proceed(
    { kind: "await-cookie-trust" },
    {
      kind: "ask-trust",
      question: { role: "dialler", name: target, method: "cookie-only", publicKey: undefined },
    },
  );
}

function trusted(
  context: BarrelDiallerContext,
  state: BarrelDiallerState,
  answer: BarrelTrustAnswer,
  now: MonotonicMs,
): Step {
  if (state.kind !== "await-trust" && state.kind !== "await-cookie-trust") return proceed(state);
  // A dialler says nothing about what it does not like (D3a).
  if (answer.kind !== "granted") return fail(quiet(untrusted(answer.kind, answer.error).error), true);
  if (state.kind === "await-cookie-trust") {
    const assurance = capped(answer.assurance);
    const { target: peer } = context;
    return authenticated({ role: "dialler", peer, method: "cookie-only", publicKey: undefined, assurance });
  }
  const own = makeChallenge(context, "dialler", now);
  const peer = { ...state.claimed, assurance: answer.assurance };
  return proceed({ kind: "expect-challenge", peer, own }, sendChallenge(own));
}

function authenticated(session: BarrelSession): Step {
  return proceed({ kind: "authenticated", session }, { kind: "finish" }, { kind: "authenticated", session });
}

function surprise(expected: string, message: BarrelMessage): BarrelStep<Ended> {
  return fail(unexpected(expected, message.kind), true);
}
