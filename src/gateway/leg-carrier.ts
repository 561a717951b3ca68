import type { Carrier, CarrierSink } from "../carrier/carrier.ts";
import type { ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";

/** What a leg runs over. `make` is called once for each; with `isFull` no TLS session is resumed. @throws {SallyportError} when there is nothing to dial */
export type LegCarrier =
  | { readonly kind: "stream"; readonly make: (sink: CarrierSink, isFull: boolean) => Carrier }
  /** QUIC: the peer proves its key before anything else, and needs an identity on this side. */
  | { readonly kind: "channels"; readonly make: (sink: ChannelledSink) => ChannelledCarrier };
