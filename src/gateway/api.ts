import type { Side } from "./message-filter.ts";

/** Where the nodes of one side dial a node of the other. */
export interface GatewayEndpoint {
  /** The side that dials. */
  readonly from: Side;
  /** The node that is dialled there. */
  readonly target: string;
  /** `tls://HOST:PORT` or `tcp://HOST:PORT`. */
  readonly endpoint: string;
}

/** A running gateway. */
export interface Gateway {
  /** Where each node is dialled through the gateway. */
  readonly endpoints: readonly GatewayEndpoint[];
  /** Pairs now, those in their handshake included. */
  readonly pairs: number;
  /** Ends all pairs and listeners. Idempotent. */
  close(): Promise<void>;
}
