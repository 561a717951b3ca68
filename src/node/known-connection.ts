import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { SessionRules } from "../guard/session-guard.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { PeerFacts } from "../policy/decision.ts";

/** An authenticated peer on one connection. */
export interface KnownConnection {
  readonly name: NodeName;
  readonly assurance: Assurance;
  readonly protocol: ProtocolName;
  readonly publicKey: PublicKey | undefined;
  readonly info: CarrierInfo;
}

/** A peer that is authenticated and may connect. */
export interface AdmittedPeer {
  readonly facts: PeerFacts;
  readonly rules: SessionRules;
  readonly holdsName: boolean;
}
