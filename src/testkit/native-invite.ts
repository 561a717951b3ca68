import type { DiallerInvite } from "../auth/native-types.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import type { InviteProof, InviteVerdict } from "../identity/invite.ts";
import { inviteMac } from "../identity/invite-token.ts";

/** One invite as both sides hold it, without a disk behind it. */
export interface TestInvite {
  readonly dialler: DiallerInvite;
  /** The acceptor's side: open for `invitee`, and for anybody when none is given. */
  judge(proof: InviteProof): InviteVerdict;
}

/** @param secret 32 octets; @param acceptorSecret what the acceptor holds instead, to make the two differ */
export function testInvite(
  id: Buffer,
  secret: Buffer,
  crypto: IdentityCrypto,
  invitee?: NodeName,
  acceptorSecret: Buffer = secret,
): TestInvite {
  return {
    dialler: { id, namesKey: () => true, mac: (hash) => inviteMac(secret, hash, crypto) },
    judge(proof) {
      if (!id.equals(proof.id)) return "unknown";
      if (!crypto.equal(inviteMac(acceptorSecret, proof.transcriptHash, crypto), proof.mac)) return "bad-proof";
      return invitee === undefined || sameNode(invitee, proof.name) ? "valid" : "other-name";
    },
  };
}
