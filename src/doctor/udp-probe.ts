import { addMs } from "../base/clock.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { MAX_PORT_PROBE_MS, type NetworkWorld } from "./network-probes.ts";

/** Between two repetitions of the question, milliseconds: datagrams are lost now and then. */
const ASK_EVERY_MS = 1_000;
/** Smallest datagram that a QUIC server answers, octets. RFC 9000 section 14.1. */
const QUESTION_BYTES = 1200;
/** A version that is reserved for this: whoever speaks QUIC answers with the versions that it has. RFC 9000 sections 6 and 15. */
const NO_VERSION = 0x1a2a_3a4a;
const ID_BYTES = 8;
/** First octet, version and one octet for each length. RFC 8999 section 5.1. */
const HEAD_BYTES = 7;
const LONG_FORM = 0x80;
/** Versions that are shown of an answer. */
const MAX_SHOWN_VERSIONS = 8;
/** Octets of an answer that are kept as evidence. */
const FIRST_BYTES = 8;

/** QUIC version 1, the one that is spoken here. */
export const QUIC_VERSION_1 = "00000001";

/** What a UDP port did with a question that every QUIC server answers. */
export type UdpAnswer =
  /** `versions`: hexadecimal, at most 8. */
  | { readonly state: "quic"; readonly versions: readonly string[]; readonly ms: number }
  /** Something came back that is no QUIC. `firstBytes`: hexadecimal, at most 8 octets. */
  | { readonly state: "other"; readonly firstBytes: string; readonly ms: number }
  /** `system`: `ECONNREFUSED` where the host says that the port is closed, `ETIMEDOUT` where nothing came within the bound. */
  | { readonly state: "silent"; readonly system: string; readonly ms: number };

/** Asks a UDP port for the QUIC versions that it speaks: begins no connection and leaves nothing behind. Never rejects. */
export function probeUdp(
  { clock, datagrams, random }: NetworkWorld,
  { host, port }: DialAddress,
  maxMs: number,
): Promise<UdpAnswer> {
  const startedAt = clock.now();
  const ids = { destination: random.bytes(ID_BYTES), source: random.bytes(ID_BYTES) };
  const question = encodeQuestion(ids);
  return new Promise((resolve) => {
    const msSince = (): number => Math.round(clock.now() - startedAt);
    const finish = (answer: UdpAnswer): void => {
      late.cancel();
      again.cancel();
      door.close();
      resolve(answer);
    };
    const silent = (system: string): void => finish({ state: "silent", system, ms: msSince() });
    const ask = (): void => {
      door.send(question);
      again = clock.at(addMs(clock.now(), ASK_EVERY_MS), ask);
    };
    const bound = Math.max(1, Math.min(maxMs, MAX_PORT_PROBE_MS));
    const late = clock.at(addMs(startedAt, bound), () => silent("ETIMEDOUT"));
    let again = late;
    const door = datagrams.connect(host, port, {
      ready: ask,
      bytes(datagram) {
        const versions = versionsIn(datagram, ids);
        if (versions !== undefined) finish({ state: "quic", versions, ms: msSince() });
        else finish({ state: "other", firstBytes: datagram.toString("hex", 0, FIRST_BYTES), ms: msSince() });
      },
      failed: silent,
    });
  });
}

interface Ids {
  readonly destination: Buffer;
  readonly source: Buffer;
}

/** type:8 version:32 length:8 destination length:8 source, then nothing but zeros. RFC 8999 section 5.1. */
function encodeQuestion({ destination, source }: Ids): Buffer {
  const question = Buffer.alloc(QUESTION_BYTES);
  question[0] = 0xc0;
  question.writeUInt32BE(NO_VERSION, 1);
  question[5] = ID_BYTES;
  destination.copy(question, 6);
  question[6 + ID_BYTES] = ID_BYTES;
  source.copy(question, HEAD_BYTES + ID_BYTES);
  return question;
}

/** The versions of a Version Negotiation that answers our question; undefined for anything else. RFC 9000 section 17.2.1. */
function versionsIn(datagram: Buffer, { destination, source }: Ids): readonly string[] | undefined {
  const listAt = HEAD_BYTES + 2 * ID_BYTES;
  if (datagram.length < listAt + 4 || ((datagram[0] ?? 0) & LONG_FORM) === 0 || datagram.readUInt32BE(1) !== 0) {
    return undefined;
  }
  const ours = Buffer.concat([Buffer.of(ID_BYTES), source, Buffer.of(ID_BYTES), destination]);
  if (!datagram.subarray(5, listAt).equals(ours)) return undefined;
  const versions: string[] = [];
  for (let at = listAt; at + 4 <= datagram.length && versions.length < MAX_SHOWN_VERSIONS; at += 4) {
    versions.push(datagram.toString("hex", at, at + 4));
  }
  return versions;
}
