import type { PeerFacts } from "./decision.ts";

/** Whether a peer came in over QUIC; `role` is this node's part in the connection. */
export function isDialledInOverQuic({ protocol }: Pick<PeerFacts, "protocol">, role: "acceptor" | "dialler"): boolean {
  return protocol === "barrel" && role === "acceptor";
}

/**
 * What counts of a peer that dialled in over QUIC: whoever stands between an Erlang dialler and us can have its proof made for
 * our certificate, so its key counts for nothing and its assurance is `cookie` at most (rulings S3).
 */
export function asDialledInOverQuic(facts: PeerFacts): PeerFacts {
  const assurance = facts.assurance === "none" ? "none" : "cookie";
  return { ...facts, assurance, fingerprints: [], publicKeys: [], spki: undefined };
}
