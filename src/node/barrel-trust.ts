import type { BarrelTrustQuestion } from "../auth/barrel-types.ts";
import type { TrustQuestion } from "../auth/native-types.ts";
import type { SallyportError } from "../base/errors.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { IdentityKeeper, PendingTrust } from "./identity-keeper.ts";

/** What barrel's exchange of keys asks, as the trust store is asked: no successions, no invites, the cookie not proven yet. */
export function trustQuestionOf({ role, name, method, publicKey }: BarrelTrustQuestion): TrustQuestion {
  return {
    role,
    name,
    method: method === "key" ? "key" : "cookie",
    publicKey,
    successions: [],
    cookieProven: false,
    cookieDiffers: false,
    inviteProven: false,
    inviteFault: undefined,
  };
}

/**
 * Erlang's handshake proved the cookie: decides once more, for keys may have been pinned or revoked since HELLO, and makes the decision
 * durable. Only from here on is a name held by a key (barrel-auth section 14, finding 4).
 */
export function commitBarrel(
  identity: IdentityKeeper,
  pending: PendingTrust,
  info: CarrierInfo,
): { readonly pending: PendingTrust } | { readonly error: SallyportError } {
  const decided = identity.decide({ ...pending.question, cookieProven: true }, info);
  if (decided.answer.kind !== "granted") return { error: decided.answer.error };
  const { question } = decided.pending;
  const request = { trust: question, assurance: decided.answer.assurance, inviteId: undefined };
  const answer = identity.commit(request, decided.pending, info.remoteAddress);
  return answer.ok ? { pending: decided.pending } : { error: answer.error };
}
