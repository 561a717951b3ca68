import type { OtpIdentity } from "../auth/otp-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Carrier, CarrierSink } from "../carrier/carrier.ts";
import type { ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";
import { BarrelLink } from "../dist/barrel-link.ts";
import type { DistLimits } from "../dist/limits.ts";
import { limitsAboveLink } from "../dist/link-limits.ts";
import { PUBLISHED } from "../wire/flags.ts";
import type { BarrelPorts, ConnectionParts } from "./connection-parts.ts";
import type { ConnectionSink } from "./connection-sink.ts";
import { schemeRefused } from "./dial-refused.ts";
import { SessionStreams, type StreamServices } from "./streams.ts";

/** How a connection over QUIC differs from one over one stream: a link between its streams and the connection proves keys first. */
export interface LinkedConnection {
  /** What the connection is made with instead of the node's own. */
  readonly parts: { readonly ownFor: (proven: NodeName) => OtpIdentity; readonly limits: DistLimits };
  /** Makes the link; once. */
  make(sink: CarrierSink, owner: ConnectionSink): Carrier;
  /** The link, once made. */
  readonly link: BarrelLink | undefined;
}

/**
 * Prepares a connection over QUIC. `target` is the dialled name, undefined on the accepting side.
 * @throws {SallyportError} ERR_CONFIG SCHEME_NOT_ALLOWED on a node without an identity key or without QUIC
 */
export function linkedConnection(
  { barrel, identity, own, clock, limits }: ConnectionParts,
  services: StreamServices,
  target: NodeName | undefined,
  makeCarrier: (barrel: BarrelPorts, sink: ChannelledSink) => ChannelledCarrier,
): LinkedConnection {
  if (barrel === undefined || identity === undefined) throw schemeRefused(target ?? own.name, "quic");
  let link: BarrelLink | undefined;
  return {
    parts: {
      // Whether it is visible elsewhere says nothing about here (rulings C23).
      ownFor: (peer) => ({ ...own, flags: barrel.isVisibleTo(peer) ? own.flags | PUBLISHED : own.flags & ~PUBLISHED }),
      limits: limitsAboveLink(limits, target === undefined ? "acceptor" : "initiator"),
    },
    make(sink, owner) {
      const keys = { identity: () => identity.barrelIdentity, tools: identity.native.tools };
      const streams = new SessionStreams(services, () => owner.session);
      const users = streams.channels;
      link = new BarrelLink({ target, ...keys, clock, limits, owner, users }, sink, (below) =>
        makeCarrier(barrel, below),
      );
      owner.attachLink(link, streams);
      return link;
    },
    get link() {
      return link;
    },
  };
}
