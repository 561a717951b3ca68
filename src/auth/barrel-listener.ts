import type { MonotonicMs } from "../base/clock.ts";
import { assertNever } from "../base/errors.ts";
import { unexpected, untrusted } from "./barrel-failures.ts";
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
  send,
  sendChallenge,
  sendHello,
  sendResponse,
} from "./barrel-step.ts";
import type { BarrelSession, BarrelTrustAnswer, BarrelTrustQuestion } from "./barrel-types.ts";

/** The states of the accepting side, in their order (barrel-auth section 4.2). */
export type BarrelListenerState =
  | { readonly kind: "expect-hello" }
  | { readonly kind: "await-trust"; readonly question: BarrelTrustQuestion; readonly claimed: Claimed | undefined }
  | { readonly kind: "expect-challenge"; readonly peer: Granted; readonly own: OwnChallenge }
  | { readonly kind: "expect-response"; readonly peer: Granted; readonly own: OwnChallenge }
  | { readonly kind: "authenticated"; readonly session: BarrelSession }
  | Ended;

type Step = BarrelStep<BarrelListenerState>;

/** Waits for HELLO; opens nothing and sends nothing. */
export function startBarrelListener(): Step {
  return proceed({ kind: "expect-hello" });
}

/** The next state and what is to be done. Pure but for the randomness and the cryptography in `context`. */
export function stepBarrelListener(
  context: BarrelContext,
  state: BarrelListenerState,
  event: BarrelEvent,
  now: MonotonicMs,
): Step {
  if (event.kind === "trust") return trusted(context, state, event.answer, now);
  const { message } = event;
  switch (state.kind) {
    case "expect-hello":
      return message.kind === "hello" ? takeHello(context, message) : surprise("HELLO", message, false);
    case "expect-challenge": {
      if (message.kind !== "challenge") return surprise("CHALLENGE", message, true);
      const bad = checkChallenge(context, "acceptor", state.peer.name, message, now);
      if (bad !== undefined) return fail(bad, true);
      return proceed({ ...state, kind: "expect-response" }, sendResponse(context, message));
    }
    case "expect-response": {
      if (message.kind !== "response") return surprise("RESPONSE", message, true);
      const bad = checkResponse(context, state.peer, state.own, message, now, "signature_invalid");
      if (bad !== undefined) return fail(bad, true);
      const { name: peer, publicKey, assurance } = state.peer;
      return authenticated({ role: "acceptor", peer, method: "key", publicKey, assurance: capped(assurance) });
    }
    case "await-trust":
    case "authenticated":
    case "ended":
      // Our stream is not there yet, or has its FIN. barrel would take later bytes for frames of the session.
      return surprise("nothing at this point", message, false);
    default:
      return assertNever(state);
  }
}

function takeHello(context: BarrelContext, hello: BarrelHello): Step {
  // Of a listed name too, whose key plays no further part: who shows ours copied it, or reflects.
  const bad = checkNotOwn(context, hello);
  if (bad !== undefined) return fail(bad, false);
  // The list comes before the pins, as in barrel; a name with a pin is not on it (`BarrelTools.cookieOnly`).
  if (context.tools.cookieOnly(hello.name)) {
    return ask({ role: "acceptor", name: hello.name, method: "cookie-only", publicKey: undefined }, undefined);
  }
  const claimed = claimOf(hello);
  if ("error" in claimed) return fail(claimed, false);
  return ask({ role: "acceptor", name: claimed.name, method: "key", publicKey: claimed.publicKey }, claimed);
}

function ask(question: BarrelTrustQuestion, claimed: Claimed | undefined): Step {
  return proceed({ kind: "await-trust", question, claimed }, { kind: "ask-trust", question });
}

function trusted(
  context: BarrelContext,
  state: BarrelListenerState,
  answer: BarrelTrustAnswer,
  now: MonotonicMs,
): Step {
  if (state.kind !== "await-trust") return proceed(state);
  if (answer.kind !== "granted") return fail(untrusted(answer.kind, answer.error), false);
  const { claimed, question } = state;
  if (claimed === undefined) {
    const { name: peer, method } = question;
    return authenticated({ role: "acceptor", peer, method, publicKey: undefined, assurance: capped(answer.assurance) });
  }
  const own = makeChallenge(context, "acceptor", now);
  const peer = { ...claimed, assurance: answer.assurance };
  return proceed({ kind: "expect-challenge", peer, own }, sendHello(context), sendChallenge(own));
}

/** Only the listener says OK (section 4). */
function authenticated(session: BarrelSession): Step {
  return proceed(
    { kind: "authenticated", session },
    send({ kind: "ok" }),
    { kind: "finish" },
    { kind: "authenticated", session },
  );
}

/** FAIL too: to a listener it is a message like any other that has no place here. */
function surprise(expected: string, message: BarrelMessage, hasStream: boolean): BarrelStep<Ended> {
  return fail(unexpected(expected, message.kind), hasStream);
}
