import { assertNever } from "../base/errors.ts";
import type { InviteVerdict } from "../identity/invite.ts";
import { signatureInput, verifyText } from "../identity/signed-text.ts";
import type { SuccessionChain } from "../identity/succession.ts";
import {
  type Hello,
  NATIVE_VERSION,
  type NativeMessage,
  type NativeMethod,
  type Proof,
} from "../wire/native-handshake.ts";
import { type CookieKey, MIN_COOKIE_ONLY_BYTES } from "./native-cookie.ts";
import {
  inviteInvalid,
  methodsDiffer,
  otherWins,
  peerGaveUp,
  proofInvalid,
  refusedByPeer,
  secretDiffers,
  staleIncarnation,
  successionForeign,
  turnedAway,
  unexpected,
} from "./native-failures.ts";
import {
  type Agreed,
  agree,
  capped,
  checkHello,
  type Ended,
  fail,
  helloOf,
  leadsTo,
  macOf,
  type NativeContext,
  type NativeEvent,
  type NativeOutput,
  type NativeStep,
  ownSide,
  peerSide,
  proceed,
  send,
  sessionOf,
} from "./native-step.ts";
import type { Arbitration, NativeSession, TrustAnswer, TrustQuestion } from "./native-types.ts";

interface Granted {
  readonly trust: TrustQuestion;
  readonly assurance: NativeSession["assurance"];
  readonly inviteId: Buffer | undefined;
  /** The dialler's session goes over to this connection. */
  readonly moves: boolean;
}

/** How the dialler's cookie proof came out; judged only after the trust store has spoken. */
type CookieVerdict = "none" | "right" | "wrong" | "one-sided";

/** The states of the accepting side, in their order. Each holds what is known at its time and nothing more. */
export type AcceptorState =
  | { readonly kind: "expect-hello" }
  | {
      readonly kind: "expect-proof";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly chain: SuccessionChain;
    }
  | {
      readonly kind: "await-trust";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly verdict: CookieVerdict;
      readonly trust: TrustQuestion;
      readonly inviteId: Buffer | undefined;
    }
  | {
      readonly kind: "await-arbitration";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly granted: Granted;
    }
  | {
      readonly kind: "expect-alive";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly granted: Granted;
    }
  | {
      readonly kind: "await-commit";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly granted: Granted;
    }
  | { readonly kind: "expect-confirm"; readonly agreed: Agreed; readonly granted: Granted }
  | { readonly kind: "up"; readonly session: NativeSession }
  | Ended;

type Step = NativeStep<AcceptorState>;
type In<K extends AcceptorState["kind"]> = Extract<AcceptorState, { kind: K }>;

/** Waits for HELLO; sends nothing. */
export function startAcceptor(): Step {
  return proceed({ kind: "expect-hello" });
}

/** The next state and what is to be done. Pure but for the randomness and the cryptography in `context`. */
export function stepAcceptor(context: NativeContext, state: AcceptorState, event: NativeEvent): Step {
  switch (event.kind) {
    case "message":
      return takeMessage(context, state, event.message);
    case "trust":
      return state.kind === "await-trust" ? trusted(state, event.answer) : proceed(state);
    case "arbitrated":
      return state.kind === "await-arbitration" ? arbitrated(state, event.answer) : proceed(state);
    case "committed":
      if (state.kind !== "await-commit") return proceed(state);
      return event.answer.ok ? confirm(context, state) : fail({ error: event.answer.error, tell: "failed" });
    default:
      return assertNever(event);
  }
}

function takeMessage(context: NativeContext, state: AcceptorState, message: NativeMessage): Step {
  if (message.kind === "refuse" && state.kind !== "up" && state.kind !== "ended") {
    return fail(refusedByPeer(message.reason, "agreed" in state ? state.agreed.peer.name : undefined));
  }
  switch (state.kind) {
    case "expect-hello":
      return message.kind === "hello" ? takeHello(context, message) : fail(unexpected("HELLO", message.kind));
    case "expect-proof":
      return expectProof(context, state, message);
    case "expect-alive":
      if (message.kind !== "alive") return fail(unexpected("ALIVE", message.kind));
      if (message.answer === "keep") return fail(peerGaveUp(state.agreed.peer.name));
      return commit({ ...state, granted: { ...state.granted, moves: message.answer === "move" } });
    case "expect-confirm": {
      if (message.kind !== "confirm" || message.cookieMac !== undefined) {
        return fail(unexpected("CONFIRM alone", message.kind));
      }
      const { assurance, trust, moves } = state.granted;
      const granted = { assurance, inviteProven: trust.inviteProven, moves };
      const session = sessionOf(context, "acceptor", state.agreed, granted);
      return proceed({ kind: "up", session }, { kind: "up", session });
    }
    case "await-trust":
    case "await-arbitration":
    case "await-commit":
    case "up":
    case "ended":
      return fail(unexpected("nothing at this point", message.kind));
    default:
      return assertNever(state);
  }
}

function takeHello(context: NativeContext, hello: Hello): Step {
  const { own, tools, channel } = context;
  const bad = checkHello(context, hello);
  if (bad !== undefined) return fail(bad);
  if (hello.method === "cookie" && !tools.hasCookieOnly) {
    return fail(methodsDiffer(hello.name, "cookie-only mode is off on this node"));
  }
  const cookie = tools.cookieFor(hello.name);
  let method: NativeMethod = cookie === undefined ? "key" : "key-cookie";
  if (hello.method === "cookie") method = "cookie";
  const side = ownSide(context, method);
  const dialler = peerSide(hello, channel);
  const { versionLow, versionHigh } = hello;
  const version = NATIVE_VERSION;
  const transcript = { versionLow, versionHigh, version, dialler, acceptor: side, exporter: channel.exporter };
  const agreed = agree(context, transcript, dialler);
  const outputs: NativeOutput[] = [send(helloOf(side, version, version))];
  if (method !== "cookie") {
    if (own.successions.length > 0) outputs.push(send({ kind: "succession", chain: own.successions }));
    const signature = own.sign(signatureInput("sallyport/1 acceptor proof", agreed.bytes, tools.crypto));
    outputs.push(send({ kind: "proof", signature, cookieMac: undefined, invite: undefined }));
  }
  return proceed({ kind: "expect-proof", agreed, cookie, chain: [] }, ...outputs);
}

function expectProof(context: NativeContext, state: In<"expect-proof">, message: NativeMessage): Step {
  const { agreed, chain } = state;
  const isKeyed = agreed.peer.method !== "cookie";
  if (message.kind === "proof") {
    return isKeyed ? takeKeyProof(context, state, message) : takeCookieProof(context, state, message);
  }
  if (message.kind !== "succession" || !isKeyed) return fail(unexpected("PROOF", message.kind));
  if (chain.length > 0) return fail(unexpected("PROOF", "a second chain"));
  if (!leadsTo(message.chain, agreed.peer.name, agreed.peerKey)) return fail(successionForeign(agreed.peer.name));
  return proceed({ ...state, chain: message.chain });
}

function takeKeyProof(context: NativeContext, state: In<"expect-proof">, proof: Proof): Step {
  const { tools } = context;
  const { agreed, cookie } = state;
  const { dialler, acceptor } = agreed.transcript;
  const key = agreed.peerKey;
  if (proof.signature === undefined || (proof.cookieMac === undefined) !== (dialler.method === "key")) {
    return fail(unexpected("PROOF with the parts of the dialler's method", "proof"));
  }
  if (key === undefined || !verifyText("sallyport/1 dialler proof", agreed.bytes, key, proof.signature, tools.crypto)) {
    return fail(proofInvalid(dialler.name));
  }
  let verdict: CookieVerdict = "none";
  if (dialler.method !== acceptor.method) verdict = "one-sided";
  else if (cookie !== undefined) verdict = macVerdict(context, cookie.key, agreed, proof);
  if (proof.invite === undefined) return askTrust(state, verdict);
  const { id, mac } = proof.invite;
  // An invite that is not open is not fatal: who was pinned by it and lost the answer comes again with it.
  const invite = tools.judgeInvite({ id, mac, transcriptHash: agreed.hash, name: dialler.name });
  if (invite === "bad-proof") return fail(inviteInvalid(dialler.name));
  return askTrust(state, verdict, { id, verdict: invite });
}

function takeCookieProof(context: NativeContext, state: In<"expect-proof">, proof: Proof): Step {
  const { tools } = context;
  const { agreed, cookie } = state;
  const peer = agreed.peer.name;
  if (proof.cookieMac === undefined || proof.signature !== undefined || proof.invite !== undefined) {
    return fail(unexpected("PROOF with the cookie's proof alone", "proof"));
  }
  // The list is looked at after the proof, so that a stranger cannot find out who is on it.
  if (cookie === undefined || macVerdict(context, cookie.key, agreed, proof) !== "right") {
    return fail(secretDiffers(peer, "proof"));
  }
  if (!tools.cookieOnly(peer)) return fail(methodsDiffer(peer, "it is not listed for cookie-only mode"));
  if (cookie.cookieBytes < MIN_COOKIE_ONLY_BYTES && !tools.allowShortCookie) {
    return fail(methodsDiffer(peer, `its cookie has less than ${MIN_COOKIE_ONLY_BYTES} bytes`));
  }
  return askTrust(state, "right");
}

function macVerdict(context: NativeContext, key: Buffer, agreed: Agreed, proof: Proof): CookieVerdict {
  const expected = macOf(context, "sallyport/1 dialler cookie", key, agreed);
  return proof.cookieMac !== undefined && context.tools.crypto.equal(expected, proof.cookieMac) ? "right" : "wrong";
}

function askTrust(
  state: In<"expect-proof">,
  verdict: CookieVerdict,
  invite?: { readonly id: Buffer; readonly verdict: InviteVerdict },
): Step {
  const { agreed, cookie, chain } = state;
  const inviteId = invite?.verdict === "valid" ? invite.id : undefined;
  const trust: TrustQuestion = {
    role: "acceptor",
    name: agreed.peer.name,
    method: agreed.peer.method,
    publicKey: agreed.peerKey,
    successions: chain,
    cookieProven: verdict === "right",
    cookieDiffers: verdict === "wrong" || verdict === "one-sided",
    inviteProven: inviteId !== undefined,
    inviteFault: invite === undefined || invite.verdict === "valid" ? undefined : invite.verdict,
  };
  return proceed(
    { kind: "await-trust", agreed, cookie, verdict, trust, inviteId },
    { kind: "ask-trust", question: trust },
  );
}

function trusted({ agreed, cookie, verdict, trust, inviteId }: In<"await-trust">, answer: TrustAnswer): Step {
  const { name, incarnation, creation, flags, method } = agreed.peer;
  if (answer.kind !== "granted") return fail(turnedAway(answer));
  if (verdict === "wrong") return fail(secretDiffers(name, "proof"));
  if (verdict === "one-sided") return fail(secretDiffers(name, "set on one side only"));
  const granted = { trust, assurance: capped(method, answer.assurance), inviteId, moves: false };
  return proceed(
    { kind: "await-arbitration", agreed, cookie, granted },
    {
      kind: "arbitrate",
      question: { role: "acceptor", name, incarnation, creation, flags, peerHoldsSession: false, isProven: true },
    },
  );
}

function arbitrated(state: In<"await-arbitration">, answer: Arbitration): Step {
  const { agreed, cookie, granted } = state;
  const { name, incarnation } = agreed.peer;
  if (typeof answer === "object") return fail(turnedAway(answer));
  switch (answer) {
    case "go":
    case "move":
      return commit(state);
    case "alive":
      return proceed({ kind: "expect-alive", agreed, cookie, granted }, send({ kind: "status-alive" }));
    case "other-wins":
      return fail(otherWins(name, "other-wins"));
    case "stale":
      return fail(staleIncarnation(name, incarnation));
    default:
      return assertNever(answer);
  }
}

function commit({ agreed, cookie, granted }: In<"await-arbitration" | "expect-alive">): Step {
  return proceed({ kind: "await-commit", agreed, cookie, granted }, { kind: "commit", request: granted });
}

function confirm(context: NativeContext, { agreed, cookie, granted }: In<"await-commit">): Step {
  const cookieMac =
    cookie === undefined ? undefined : macOf(context, "sallyport/1 acceptor cookie", cookie.key, agreed);
  return proceed({ kind: "expect-confirm", agreed, granted }, send({ kind: "confirm", cookieMac }));
}
