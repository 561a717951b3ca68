import { addMs, type Clock } from "../base/clock.ts";
import { quotePeerText } from "../base/escape.ts";
import { hostPart, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { Datagrams, Sockets } from "../base/sockets.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { encodeNamesRequest } from "../wire/epmd.ts";
import { NamesAnswerParser } from "../wire/epmd-answers.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { encodeHandshake, prefixHandshake } from "../wire/handshake.ts";

/** Longest wait for a port to open, milliseconds: the second repetition of a SYN packet leaves after 3 seconds. */
export const MAX_PORT_PROBE_MS = 3_000;
/** Longest wait for the answer of a plain service, milliseconds. */
export const MAX_PLAIN_PROBE_MS = 2_000;
/** Names of an EPMD that are shown. */
const MAX_SHOWN_NAMES = 32;
/** Octets that are kept of an answer. */
const MAX_ANSWER_BYTES = 64;

export interface NetworkWorld {
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly datagrams: Datagrams;
  readonly random: Random;
  readonly epmdPort: number;
}

/** What a port did. `system`: code of the platform, `ETIMEDOUT` where nothing came within the bound. */
export interface PortAnswer {
  readonly open: boolean;
  readonly system: string | undefined;
  readonly ms: number;
}

/** Opens a TCP connection and closes it: tells a closed port from a filtered one. Never rejects. */
export function probePort(
  { clock, sockets }: NetworkWorld,
  { host, port }: DialAddress,
  maxMs: number,
): Promise<PortAnswer> {
  const startedAt = clock.now();
  return new Promise((resolve) => {
    const finish = (open: boolean, system: string | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve({ open, system, ms: Math.round(clock.now() - startedAt) });
    };
    const bound = Math.max(1, Math.min(maxMs, MAX_PORT_PROBE_MS));
    const timer = clock.at(addMs(startedAt, bound), () => finish(false, "ETIMEDOUT"));
    const socket = sockets.connect(host, port, {
      connected: () => finish(true, undefined),
      bytes: () => {},
      closed: (system) => finish(false, system ?? "ECONNRESET"),
    });
  });
}

/** How a port takes the plain distribution handshake. */
export interface PlainAnswer {
  /** `dist`: it answers it. `tls`: it answers with TLS. */
  readonly speaks: "dist" | "tls" | "something else" | "nothing";
  /** Hexadecimal, at most 8 octets. */
  readonly firstBytes: string;
}

/**
 * Says hello without TLS, under a name made up for it, and reads the first answer. No proof is asked for or given; the
 * connection ends before there is a session.
 */
export async function probePlain(world: NetworkWorld, address: DialAddress, own: NodeName): Promise<PlainAnswer> {
  const name = parseNodeName(`doctor-${world.random.bytes(4).toString("hex")}@${hostPart(own)}`);
  const body = encodeHandshake({ kind: "send-name", flags: DEFAULT_FLAGS, creation: world.random.uint32(), name });
  const answer = await exchange(world, address, prefixHandshake(body, 2), (bytes) => bytes.length >= 3);
  return { speaks: kindOf(answer), firstBytes: answer.subarray(0, 8).toString("hex") };
}

function kindOf(answer: Buffer): PlainAnswer["speaks"] {
  if (answer.length === 0) return "nothing";
  // ContentType alert or handshake, then the version 3.x (RFC 8446 section 5.1).
  if ((answer[0] === 21 || answer[0] === 22) && answer[1] === 3) return "tls";
  // length:16 "s" status (otp-distribution section 2).
  return answer.length >= 3 && answer.readUInt16BE(0) < 1024 && answer[2] === 0x73 ? "dist" : "something else";
}

/** The names that an EPMD knows, with their ports; undefined where no EPMD answers. */
export async function namesAtEpmd(world: NetworkWorld, host: string): Promise<readonly string[] | undefined> {
  const parser = new NamesAnswerParser();
  const address = { scheme: "tcp", host, port: world.epmdPort } as const;
  try {
    let isBroken = false;
    const answer = await exchange(world, address, encodeNamesRequest(), (_bytes, chunk) => {
      try {
        parser.push(chunk);
      } catch {
        isBroken = true;
      }
      return isBroken;
    });
    if (answer.length === 0 || isBroken) return undefined;
    const { names } = parser.end();
    const shown = names.slice(0, MAX_SHOWN_NAMES).map(({ name, port }) => `${quotePeerText(name)} at port ${port}`);
    return names.length > MAX_SHOWN_NAMES ? [...shown, `and ${names.length - MAX_SHOWN_NAMES} more`] : shown;
  } catch {
    return undefined;
  }
}

/** Sends once and gathers the answer until `isEnough`, the end, or the bound. Never rejects. */
function exchange(
  { clock, sockets }: NetworkWorld,
  { host, port }: DialAddress,
  request: Buffer,
  isEnough: (bytes: Buffer, chunk: Buffer) => boolean,
): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (): void => {
      timer.cancel();
      socket.destroy();
      resolve(bytes);
    };
    const timer = clock.at(addMs(clock.now(), MAX_PLAIN_PROBE_MS), finish);
    const socket = sockets.connect(host, port, {
      connected: () => socket.write(request),
      bytes(chunk) {
        if (bytes.length < MAX_ANSWER_BYTES) bytes = Buffer.concat([bytes, chunk]).subarray(0, MAX_ANSWER_BYTES);
        if (isEnough(bytes, chunk)) finish();
      },
      closed: finish,
    });
  });
}
