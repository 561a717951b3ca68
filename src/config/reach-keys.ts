import type { BarrelDiscoveryOption, DiscoveryOption, DnsOption, QuicOption } from "../node/options.ts";
import type { Field } from "./shape.ts";

// Keys of where other nodes are found, and of QUIC.

const DNS: Readonly<Record<keyof DnsOption, Field>> = {
  service: {
    shape: { kind: "string", example: "_dist._tcp.workers.default.svc.cluster.local" },
    says: "SRV name of a service whose targets are host parts of nodes: gives their ports.",
  },
  port: {
    shape: { kind: "integer", min: 1, max: 65_535 },
    says: "Port at the A and AAAA addresses of a node's host part. Without it these are asked last, for port 9100.",
  },
  servers: {
    shape: { kind: "list", of: { kind: "string", example: "192.0.2.53" } },
    says: "Name servers, IP or IP:PORT, instead of those of this machine.",
  },
};

export const QUIC: Readonly<Record<keyof QuicOption, Field>> = {
  allowPublic: {
    shape: { kind: "boolean" },
    says:
      "Also beyond loopback and private addresses, though the engine has known faults. A host name counts as what it resolves to where it is " +
      "dialled, as beyond where it is listened on. Default false.",
  },
  retry: {
    shape: { kind: "boolean" },
    says: "Clients prove their address before TLS. Erlang's are not proven to follow. Default false.",
  },
  visible: {
    shape: { kind: "boolean-or-nodes" },
    says:
      "Take part in nodes() and global of Erlang nodes over QUIC, of all (true) or of those named; they serve tagged streams to nobody else. " +
      "Default false.",
  },
};

const BARREL_DISCOVERY: Readonly<Record<keyof BarrelDiscoveryOption, Field>> = {
  nodesFile: {
    shape: { kind: "string", path: true, example: "sys.config" },
    says: "Configuration file of Erlang with [{quic,[{dist,[{nodes,[{'name@host',{Address,Port}}]}]}]}]. Read at the start.",
  },
  directory: {
    shape: { kind: "string", path: true, example: "/mnt/shared/discovery" },
    says: "Shared directory of files NODE.endpoint. This node writes its own when it listens on QUIC.",
  },
  dns: {
    shape: { kind: "true-or", object: { kind: "object", keys: { port: DNS.port, servers: DNS.servers } } },
    says: "Addresses of the host part of a name. true: at port 4433.",
  },
};

export const DISCOVERY: Readonly<Record<keyof DiscoveryOption, Field>> = {
  directory: {
    shape: { kind: "string", path: true, example: "/mnt/shared/nodes" },
    says: "Directory that machines share: this node writes a file about itself, and looks for those of others.",
  },
  dns: {
    shape: { kind: "true-or", object: { kind: "object", keys: DNS } },
    says: "DNS. true: SRV records _sallyport._tcp.HOST.",
  },
  barrel: {
    shape: { kind: "object", keys: BARREL_DISCOVERY },
    says: "Where nodes of barrel_p2p find each other, in its own forms.",
  },
};
