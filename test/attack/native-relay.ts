// Somebody in the middle of two nodes: passes TLS on untouched, or ends it on both legs with certificates of its choice.
import { createServer as createTcpServer, type Server, type Socket, connect as tcpConnect } from "node:net";
import { createServer, connect as tlsConnect } from "node:tls";
import { ALPN } from "./native-frames.ts";

export interface Certificate {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface Relay {
  readonly endpoint: string;
  /** Bytes that went each way, as far as this relay can read them. */
  readonly passed: { toAcceptor: number; toDialler: number };
  close(): void;
}

async function listening(server: Server, sockets: readonly Socket[], passed: Relay["passed"]): Promise<Relay> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    endpoint: `tls://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    passed,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function join(left: Socket, right: Socket, passed: Relay["passed"]): void {
  const pipe = (from: Socket, to: Socket, way: keyof Relay["passed"]): void => {
    from.on("data", (chunk: Buffer) => {
      passed[way] += chunk.length;
      if (!to.destroyed) to.write(chunk);
    });
    from.on("error", () => to.destroy());
    // What was said last still arrives.
    from.on("end", () => to.end());
    from.on("close", () => to.end());
  };
  pipe(left, right, "toAcceptor");
  pipe(right, left, "toDialler");
}

export interface CuttingRelay extends Relay {
  /** Ends the dialling side of every connection; the other side hears nothing of it. */
  loseDiallers(): void;
}

/** Passes everything on as it is. */
export async function passOn(port: number): Promise<CuttingRelay> {
  const lefts: Socket[] = [];
  const sockets: Socket[] = [];
  const passed = { toAcceptor: 0, toDialler: 0 };
  const server = createTcpServer((left) => {
    const right = tcpConnect(port, "127.0.0.1");
    lefts.push(left);
    sockets.push(left, right);
    join(left, right, passed);
  });
  return {
    ...(await listening(server, sockets, passed)),
    loseDiallers() {
      // Without its listeners nothing of its end is passed on.
      for (const left of lefts) left.removeAllListeners().destroy();
    },
  };
}

export interface ResettingRelay extends Relay {
  readonly port: number;
  /** Resets the connection to the acceptor of whoever dialled from this local port. */
  reset(localPort: number): void;
}

/** Passes everything on, and resets connections on demand: a TLS client cannot reset the TCP connection below itself. */
export async function passOnUntilReset(port: number): Promise<ResettingRelay> {
  const rights = new Map<number, Socket>();
  const passed = { toAcceptor: 0, toDialler: 0 };
  const server = createTcpServer((left) => {
    const right = tcpConnect(port, "127.0.0.1");
    const from = left.remotePort ?? 0;
    rights.set(from, right);
    join(left, right, passed);
    right.on("close", () => {
      rights.delete(from);
      left.destroy();
    });
  });
  const relay = await listening(server, [], passed);
  return {
    ...relay,
    port: Number(new URL(relay.endpoint).port),
    reset: (localPort) => void rights.get(localPort)?.resetAndDestroy(),
  };
}

/** Ends TLS: shows `toDialler` to the one who dials and `toAcceptor` to the one at `port`, and passes every message on. */
export function endTls(
  port: number,
  shown: { readonly toDialler: Certificate; readonly toAcceptor: Certificate },
): Promise<Relay> {
  const sockets: Socket[] = [];
  const passed = { toAcceptor: 0, toDialler: 0 };
  const common = { requestCert: true, rejectUnauthorized: false, ALPNProtocols: [ALPN] };
  const server = createServer({ ...common, ...shown.toDialler }, (left) => {
    const right = tlsConnect({ ...common, ...shown.toAcceptor, port, host: "127.0.0.1" });
    sockets.push(left, right);
    join(left, right, passed);
  });
  return listening(server, sockets, passed);
}
