import { withFinding } from "../base/diagnosis.ts";
import { SallyportError, withNote } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { Refined } from "./refine-tls.ts";
import { QUIC_VERSION_1, type UdpAnswer } from "./udp-probe.ts";

/** The application protocol that a dial over QUIC offers. barrel-auth section 1. */
const OFFERED = "erlang-dist";

/** Ends of a dial before QUIC stood that say little. */
const UNCLEAR: readonly string[] = ["HANDSHAKE_TIMEOUT", "CONNECT_TIMEOUT", "CLOSED_WHILE_OPENING"];

/** What a failed dial over QUIC comes down to, with what its UDP port has answered. `heard`: of QUIC, where it stood. */
export function refineQuic(
  error: SallyportError,
  target: NodeName,
  answer: UdpAnswer | undefined,
  heard: CarrierInfo | undefined,
): Refined {
  // The examination had less time than the steps have: what was under way then did not come to its end.
  if (heard !== undefined && error.reason === "CONNECT_TIMEOUT")
    return { error: stoppedIn(error, heard), evidence: {} };
  if (error.reason === "QUIC_NO_ALPN" || error.reason === "BARREL_ALPN")
    return { error, evidence: { offered: OFFERED } };
  if (heard !== undefined || answer === undefined || !UNCLEAR.includes(error.reason)) return { error, evidence: {} };
  switch (answer.state) {
    case "other":
      return { error: notAQuicPeer(target, answer.firstBytes), evidence: {} };
    case "quic": {
      const evidence = { localVersions: QUIC_VERSION_1, remoteVersions: answer.versions };
      if (answer.versions.includes(QUIC_VERSION_1)) {
        return { error: error.code === "ERR_CLOSED" ? error : notLetIn(error, target), evidence };
      }
      return { error: otherVersion(target), evidence };
    }
    case "silent":
      return { error, evidence: {} };
  }
}

function otherVersion(target: NodeName): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "QUIC_VERSION_MISMATCH",
    `${target} answers QUIC, and not its version 1`,
    {
      peer: target,
      stage: "tls",
      advice: "let the other side speak QUIC version 1, or dial the port of a node that does",
    },
  );
}

/** Something answers over UDP, and it is no QUIC. */
export function notAQuicPeer(target: NodeName, firstBytes: string): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "NOT_A_QUIC_PEER",
    `what answers for ${target} over UDP does not speak QUIC`,
    {
      peer: target,
      stage: "tls",
      detail: { firstBytes },
      advice: "correct the port here, or start the node there with a quic:// listener on it",
    },
  );
}

function stoppedIn(error: SallyportError, { proven }: CarrierInfo): SallyportError {
  const [step, stage, says] =
    proven === undefined
      ? (["auth", "identity", "the exchange of keys"] as const)
      : (["dist", "cookie", "Erlang's handshake"] as const);
  const note = `; QUIC stands, and ${says} did not come to its end`;
  return withNote(
    error,
    note,
    { step },
    `it stopped in ${says}: read its log, and give more time with --timeout`,
    stage,
  );
}

/** The port speaks QUIC, and answers no packet of ours: so does a node that does not take connections from here. */
function notLetIn(error: SallyportError, target: NodeName): SallyportError {
  return withFinding(error, {
    code: "HANDSHAKE_TIMEOUT",
    fault: "remote",
    says: `${target} answers QUIC and not this node's connection`,
    advice:
      "look there at the addresses that accept allows, at the limits for newcomers, and whether it is closing or overloaded",
  });
}
