import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";
import { BarrelLink, limitsAboveLink } from "../dist/barrel-link.ts";
import { DistConnection } from "../dist/connection.ts";
import { connectionBug } from "../dist/connection-failures.ts";
import { DIST_HDR_ATOM_CACHE, PUBLISHED } from "../wire/flags.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import type { ConnectionSink } from "./connection-sink.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import { SessionStreams, type StreamServices } from "./streams.ts";

/** A distribution connection over the streams of a barrel connection, and the link that joins the two. */
export interface BarrelConnection {
  readonly connection: DistConnection;
  readonly link: BarrelLink;
}

/** Makes both, attached to the sink. With a target it dials. */
export function makeBarrelConnection(
  parts: ConnectionParts,
  identity: IdentityKeeper,
  services: StreamServices,
  target: NodeName | undefined,
  sink: ConnectionSink,
  makeCarrier: (sink: ChannelledSink) => ChannelledCarrier,
): BarrelConnection {
  const { own, clock, handshake, limits, ticks, barrel } = parts;
  const hidden = own.flags & ~(PUBLISHED | DIST_HDR_ATOM_CACHE);
  const flags = barrel?.visible === true ? hidden | PUBLISHED : hidden;
  let link: BarrelLink | undefined;
  const connection = new DistConnection(
    { own: { ...own, flags }, target, tools: handshake, clock, limits: limitsAboveLink(limits), ticks },
    sink,
    (above) => {
      const streams = new SessionStreams(services, () => sink.session);
      const users = streams.channels;
      link = new BarrelLink({ ...identity.barrel, target, clock, limits, owner: sink, users }, above, makeCarrier);
      sink.attachLink(link, streams);
      return link;
    },
  );
  sink.attach(connection);
  if (link === undefined) throw connectionBug("no carrier was asked for");
  return { connection, link };
}

/** A barrel connection proves a key, and this node has none. */
export function barrelNeedsIdentity(): SallyportError {
  return new SallyportError("ERR_CONFIG", "BARREL_NEEDS_IDENTITY", "QUIC needs an identity key on this node", {
    stage: "identity",
    advice: "set identity with a key directory (on the command line --key-dir)",
  });
}
