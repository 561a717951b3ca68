import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { loadBinding, type NativeBinding, type NativeConnection } from "../../src/quic-engine/binding.ts";
import { makeConfig } from "../../src/quic-engine/configs.ts";

export const binding: NativeBinding = loadBinding(process.platform, process.arch);

/** A QUIC server on the bare binding, which sees packets one by one. */
export interface RawPeer {
  readonly port: number;
  readonly connection: Promise<NativeConnection>;
  /** What each read of a stream gave, in order. */
  readonly reads: string[];
  onRead: () => void;
  /** Octets of the datagrams that came, those that `loses` let be lost as well. */
  readonly sizes: number[];
  /** Stands for the network: true where a datagram of so many octets does not arrive. */
  loses: (octets: number) => boolean;
  /** Lets QUIC send. */
  push(): Promise<void>;
  close(): void;
}

/** The part of a connection by which sessions are resumed; nothing of this project uses it. */
export interface Resumable {
  /** What the other side gave for a next time; null before it did. */
  session(): Uint8Array | null;
  setSession(session: Uint8Array): void;
}

/** A server that accepts one connection and reads after each packet. @param ticketKey with which its sessions can be resumed */
export async function rawServer(
  material: { certPem: string; keyPem: string },
  alpn: readonly string[],
  ticketKey?: Uint8Array,
): Promise<RawPeer> {
  const config = makeConfig(binding, { alpn, idleTimeoutMs: 60_000, ...material });
  if (ticketKey !== undefined) config.setTicketKey(ticketKey);
  return rawPeer((local, remote) => binding.Connection.accept(Buffer.alloc(16, 7), null, local, remote, config));
}

/** A client that has begun to dial. @param session of an earlier connection, which it would like to resume */
export async function rawClient(port: number, alpn: readonly string[], session?: Uint8Array): Promise<RawPeer> {
  const config = makeConfig(binding, { alpn, idleTimeoutMs: 60_000 });
  const to = { host: "127.0.0.1", port };
  const peer = await rawPeer((local, remote) => {
    const made = binding.Connection.connect("localhost", randomBytes(16), local, remote, config);
    if (session !== undefined) (made as NativeConnection & Resumable).setSession(session);
    return made;
  }, to);
  await peer.push();
  return peer;
}

type HostPort = { host: string; port: number };

async function rawPeer(
  make: (local: HostPort, remote: HostPort) => NativeConnection,
  known?: HostPort,
): Promise<RawPeer> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const local = { host: "127.0.0.1", port: (socket.address() as AddressInfo).port };
  let connection: NativeConnection | undefined = known === undefined ? undefined : make(local, known);
  let made: (connection: NativeConnection) => void = () => undefined;
  const reads: string[] = [];
  const peer: RawPeer = {
    port: local.port,
    connection: new Promise((resolve) => {
      made = resolve;
    }),
    reads,
    onRead: () => undefined,
    sizes: [],
    loses: () => false,
    async push() {
      for (;;) {
        const out = Buffer.alloc(1452);
        const sent = connection?.send(out) ?? null;
        if (sent === null) return;
        const { to } = sent[1];
        await new Promise<void>((resolve) => socket.send(out, 0, sent[0], to.port, to.host, () => resolve()));
      }
    },
    close: () => socket.close(),
  };
  if (connection !== undefined) made(connection);
  socket.on("message", (bytes, from) => {
    peer.sizes.push(bytes.length);
    if (peer.loses(bytes.length)) return;
    const remote = { host: from.address, port: from.port };
    if (connection === undefined) {
      connection = make(local, remote);
      made(connection);
    }
    try {
      connection.recv(bytes, { from: remote, to: local });
    } catch {
      // It closes.
    }
    for (const stream of connection.readable()) {
      const into = Buffer.alloc(65_536);
      for (let result = connection.streamRecv(stream, into); result !== null; ) {
        reads.push(into.toString("latin1", 0, result[0]));
        result = result[1] ? null : connection.streamRecv(stream, into);
      }
    }
    void peer.push();
    peer.onRead();
  });
  return peer;
}
