import type { SessionRules } from "../guard/session-guard.ts";
import type { PeerFacts } from "../policy/decision.ts";

/** A peer that is authenticated and may connect. */
export interface AdmittedPeer {
  readonly facts: PeerFacts;
  readonly rules: SessionRules;
  readonly holdsName: boolean;
}
