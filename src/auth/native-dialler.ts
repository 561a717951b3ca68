import { assertNever } from "../base/errors.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { signatureInput, verifyText } from "../identity/signed-text.ts";
import type { SuccessionChain } from "../identity/succession.ts";
import {
  type Confirm,
  type Hello,
  NATIVE_VERSION,
  type NativeMessage,
  type NativeMethod,
  type Proof,
} from "../wire/native-handshake.ts";
import { type CookieKey, MIN_COOKIE_ONLY_BYTES } from "./native-cookie.ts";
import {
  cookieUnusable,
  inviteWrongNode,
  methodsDiffer,
  otherWins,
  proofInvalid,
  refusedByPeer,
  secretDiffers,
  selfConnect,
  staleIncarnation,
  successionForeign,
  turnedAway,
  unexpected,
  versionUnknown,
  wrongNode,
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
import type { TranscriptSide } from "./native-transcript.ts";
import type { Arbitration, DiallerInvite, NativeSession, TrustAnswer, TrustQuestion } from "./native-types.ts";

/** What a dialling machine is given for its whole life. */
export interface DiallerContext extends NativeContext {
  /** The dialled name: the only one that may answer. */
  readonly target: NodeName;
  readonly invite: DiallerInvite | undefined;
}

interface Granted {
  readonly trust: TrustQuestion;
  readonly assurance: NativeSession["assurance"];
  /** The session that stands goes over to this connection. */
  readonly moves: boolean;
}

/** The states of the dialling side, in their order. Each holds what is known at its time and nothing more. */
export type DiallerState =
  | { readonly kind: "expect-hello"; readonly own: TranscriptSide; readonly cookie: CookieKey | undefined }
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
      readonly trust: TrustQuestion;
    }
  | {
      /** Before our proof leaves. */
      readonly kind: "await-go";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly granted: Granted;
    }
  | {
      readonly kind: "expect-confirm";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly granted: Granted;
      readonly statusSeen: boolean;
    }
  | {
      /** The acceptor said that a session with us stands there. */
      readonly kind: "await-alive";
      readonly agreed: Agreed;
      readonly cookie: CookieKey | undefined;
      readonly granted: Granted;
    }
  | {
      /** Cookie only: the acceptor's proof came last. */
      readonly kind: "await-late-go";
      readonly agreed: Agreed;
      readonly granted: Granted;
    }
  | { readonly kind: "await-commit"; readonly agreed: Agreed; readonly granted: Granted }
  | { readonly kind: "up"; readonly session: NativeSession }
  | Ended;

type Step = NativeStep<DiallerState>;
type In<K extends DiallerState["kind"]> = Extract<DiallerState, { kind: K }>;

/** Sends HELLO. A cookie-only target without a fit cookie fails here, before a byte leaves. */
export function startDialler(context: DiallerContext): Step {
  const { own, target, tools } = context;
  if (sameNode(target, own.name)) return fail({ ...selfConnect(target), tell: undefined });
  const cookie = tools.cookieFor(target);
  let method: NativeMethod = cookie === undefined ? "key" : "key-cookie";
  if (tools.cookieOnly(target)) {
    method = "cookie";
    const least = tools.allowShortCookie ? 1 : MIN_COOKIE_ONLY_BYTES;
    if (cookie === undefined || cookie.cookieBytes < least) {
      return fail(cookieUnusable(target, cookie?.cookieBytes ?? 0, least));
    }
  }
  const side = ownSide(context, method);
  return proceed({ kind: "expect-hello", own: side, cookie }, send(helloOf(side, NATIVE_VERSION, NATIVE_VERSION)));
}

/** The next state and what is to be done. Pure but for the randomness and the cryptography in `context`. */
export function stepDialler(context: DiallerContext, state: DiallerState, event: NativeEvent): Step {
  switch (event.kind) {
    case "message":
      return takeMessage(context, state, event.message);
    case "trust":
      return state.kind === "await-trust" ? trusted(state, event.answer) : proceed(state);
    case "arbitrated":
      return arbitrated(context, state, event.answer);
    case "committed":
      if (state.kind !== "await-commit") return proceed(state);
      return event.answer.ok ? goUp(context, state) : fail({ error: event.answer.error, tell: "failed" });
    default:
      return assertNever(event);
  }
}

function takeMessage(context: DiallerContext, state: DiallerState, message: NativeMessage): Step {
  if (message.kind === "refuse" && state.kind !== "up" && state.kind !== "ended") {
    return fail(refusedByPeer(message.reason, context.target));
  }
  switch (state.kind) {
    case "expect-hello":
      return message.kind === "hello" ? takeHello(context, state, message) : fail(unexpected("HELLO", message.kind));
    case "expect-proof":
      if (message.kind === "proof") return takeProof(context, state, message);
      if (message.kind !== "succession") return fail(unexpected("PROOF", message.kind));
      if (state.chain.length > 0) return fail(unexpected("PROOF", "a second chain"));
      if (!leadsTo(message.chain, state.agreed.peer.name, state.agreed.peerKey)) {
        return fail(successionForeign(state.agreed.peer.name));
      }
      return proceed({ ...state, chain: message.chain });
    case "expect-confirm":
      if (message.kind === "confirm") return takeConfirm(context, state, message);
      if (message.kind !== "status-alive" || state.statusSeen) return fail(unexpected("CONFIRM", message.kind));
      return proceed(
        { kind: "await-alive", agreed: state.agreed, cookie: state.cookie, granted: state.granted },
        arbitrate(state.agreed, true),
      );
    case "await-trust":
    case "await-go":
    case "await-alive":
    case "await-late-go":
    case "await-commit":
    case "up":
    case "ended":
      return fail(unexpected("nothing at this point", message.kind));
    default:
      return assertNever(state);
  }
}

function takeHello(context: DiallerContext, { own, cookie }: In<"expect-hello">, hello: Hello): Step {
  const { target, channel } = context;
  // Anything but a version that was offered, chosen once, is no choice.
  if (hello.versionLow !== hello.versionHigh || hello.versionLow !== NATIVE_VERSION) {
    return fail(versionUnknown(hello.name, hello.versionHigh));
  }
  if (!sameNode(hello.name, target)) return fail(wrongNode(target, hello.name));
  const bad = checkHello(context, hello);
  if (bad !== undefined) return fail(bad);
  if ((own.method === "cookie") !== (hello.method === "cookie")) {
    return fail(methodsDiffer(hello.name, "only one side wants cookie-only mode"));
  }
  const acceptor = peerSide(hello, channel);
  const transcript = {
    versionLow: NATIVE_VERSION,
    versionHigh: NATIVE_VERSION,
    version: hello.versionLow,
    dialler: own,
    acceptor,
    exporter: channel.exporter,
  };
  const agreed = agree(context, transcript, acceptor);
  if (own.method !== "cookie") return proceed({ kind: "expect-proof", agreed, cookie, chain: [] });
  return askTrust(agreed, cookie, [], false);
}

function takeProof(context: DiallerContext, { agreed, cookie, chain }: In<"expect-proof">, proof: Proof): Step {
  const { tools, invite } = context;
  const peer = agreed.peer.name;
  if (proof.signature === undefined || proof.cookieMac !== undefined || proof.invite !== undefined) {
    return fail(unexpected("PROOF with a signature alone", "proof"));
  }
  const key = agreed.peerKey;
  if (
    key === undefined ||
    !verifyText("sallyport/1 acceptor proof", agreed.bytes, key, proof.signature, tools.crypto)
  ) {
    return fail(proofInvalid(peer));
  }
  if (invite !== undefined && !invite.namesKey(key)) return fail(inviteWrongNode(peer));
  return askTrust(agreed, cookie, chain, invite !== undefined);
}

function askTrust(
  agreed: Agreed,
  cookie: CookieKey | undefined,
  successions: SuccessionChain,
  inviteProven: boolean,
): Step {
  const { name, method } = agreed.peer;
  const trust: TrustQuestion = {
    role: "dialler",
    name,
    method,
    publicKey: agreed.peerKey,
    successions,
    cookieProven: false,
    cookieDiffers: false,
    inviteProven,
    inviteFault: undefined,
  };
  return proceed({ kind: "await-trust", agreed, cookie, trust }, { kind: "ask-trust", question: trust });
}

function trusted({ agreed, cookie, trust }: In<"await-trust">, answer: TrustAnswer): Step {
  if (answer.kind !== "granted") return fail({ error: answer.error, tell: "auth" });
  const { dialler, acceptor } = agreed.transcript;
  // After signature and trust: who is not to be told anything else learns nothing of the cookie either.
  if (dialler.method !== acceptor.method) return fail(secretDiffers(acceptor.name, "set on one side only"));
  const granted = { trust, assurance: capped(dialler.method, answer.assurance), moves: false };
  return proceed({ kind: "await-go", agreed, cookie, granted }, arbitrate(agreed, false));
}

/** In cookie-only mode the acceptor's proof comes last: until then its word counts for less. */
function arbitrate(agreed: Agreed, peerHoldsSession: boolean, isConfirmed = false): NativeOutput {
  const { name, incarnation, creation, flags, method } = agreed.peer;
  const isProven = method !== "cookie" || isConfirmed;
  const question = { role: "dialler", name, incarnation, creation, flags, peerHoldsSession, isProven } as const;
  return { kind: "arbitrate", question };
}

function arbitrated(context: DiallerContext, state: DiallerState, answer: Arbitration): Step {
  if (state.kind !== "await-go" && state.kind !== "await-alive" && state.kind !== "await-late-go") {
    return proceed(state);
  }
  const { agreed, granted } = state;
  if (typeof answer === "object") return fail(turnedAway(answer));
  if (answer === "stale") return fail(staleIncarnation(agreed.peer.name, agreed.peer.incarnation));
  if (state.kind === "await-alive") {
    const { cookie } = state;
    const moves = answer === "move";
    if (answer !== "go" && !moves) {
      return fail(otherWins(agreed.peer.name, undefined), send({ kind: "alive", answer: "keep" }));
    }
    return proceed(
      { kind: "expect-confirm", agreed, cookie, granted: { ...granted, moves }, statusSeen: true },
      send({ kind: "alive", answer: moves ? "move" : "replace" }),
    );
  }
  // Whether there is a session to move, the acceptor says.
  if (answer !== "go" && answer !== "move") return fail(otherWins(agreed.peer.name, "other-wins"));
  return state.kind === "await-go" ? prove(context, agreed, state.cookie, granted) : commit(agreed, granted);
}

/** Our proof. With keys everything that the acceptor had to show has held by now. */
function prove(context: DiallerContext, agreed: Agreed, cookie: CookieKey | undefined, granted: Granted): Step {
  const { own, tools, invite } = context;
  const isKeyed = agreed.transcript.dialler.method !== "cookie";
  const outputs: NativeOutput[] = [];
  if (isKeyed && own.successions.length > 0) outputs.push(send({ kind: "succession", chain: own.successions }));
  const label = "sallyport/1 dialler proof";
  outputs.push(
    send({
      kind: "proof",
      signature: isKeyed ? own.sign(signatureInput(label, agreed.bytes, tools.crypto)) : undefined,
      cookieMac: cookie === undefined ? undefined : macOf(context, "sallyport/1 dialler cookie", cookie.key, agreed),
      invite: invite === undefined || !isKeyed ? undefined : { id: invite.id, mac: invite.mac(agreed.hash) },
    }),
  );
  return proceed({ kind: "expect-confirm", agreed, cookie, granted, statusSeen: false }, ...outputs);
}

function takeConfirm(context: DiallerContext, state: In<"expect-confirm">, confirm: Confirm): Step {
  const { agreed, cookie, granted } = state;
  if ((confirm.cookieMac === undefined) !== (cookie === undefined)) {
    return fail(unexpected(cookie === undefined ? "CONFIRM alone" : "CONFIRM with the cookie's proof", "confirm"));
  }
  if (cookie !== undefined && confirm.cookieMac !== undefined) {
    const expected = macOf(context, "sallyport/1 acceptor cookie", cookie.key, agreed);
    if (!context.tools.crypto.equal(expected, confirm.cookieMac)) return fail(secretDiffers(agreed.peer.name, "proof"));
  }
  if (agreed.peer.method !== "cookie") return commit(agreed, granted);
  return proceed({ kind: "await-late-go", agreed, granted }, arbitrate(agreed, false, true));
}

function commit(agreed: Agreed, granted: Granted): Step {
  return proceed(
    { kind: "await-commit", agreed, granted },
    { kind: "commit", request: { ...granted, inviteId: undefined } },
  );
}

function goUp(context: DiallerContext, { agreed, granted }: In<"await-commit">): Step {
  const { assurance, trust, moves } = granted;
  const session = sessionOf(context, "dialler", agreed, { assurance, inviteProven: trust.inviteProven, moves });
  return proceed({ kind: "up", session }, send({ kind: "confirm", cookieMac: undefined }), { kind: "up", session });
}
