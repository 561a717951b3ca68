import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { NodeOptions } from "../../src/node/options.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { loadKeys } from "../barrel-peer/identity.mjs";
import { COOKIE, DoctorRig, MovedClock, type RecordedNode } from "./doctor-rig.ts";

/** The conformance peer. */
export const PEER = "peer@127.0.0.1";

/** How one of two nodes over QUIC is made. */
export interface QuicSide {
  readonly trust?: "strict" | "tofu";
  readonly cookie?: NodeOptions["cookie"];
  /** Other nodes whose keys, or in place of them a wrong one, it has pinned. */
  readonly pins?: Readonly<Record<string, "right" | "wrong">>;
  /** Nodes whose keys it has revoked. */
  readonly revokes?: readonly string[];
  readonly skewMs?: number;
  readonly options?: Partial<NodeOptions>;
}

/** Nodes over QUIC for the doctor, and a conformance peer in a process of its own. */
export class QuicDoctorRig {
  readonly doctor: DoctorRig;
  readonly #room = makeRoom(COOKIE);
  #peer: PeerProcess | undefined;

  private constructor(doctor: DoctorRig) {
    this.doctor = doctor;
  }

  static async make(): Promise<QuicDoctorRig> {
    return new QuicDoctorRig(await DoctorRig.make());
  }

  /** The conformance peer; it starts with its first use. */
  get peer(): PeerProcess {
    this.#peer ??= new PeerProcess(this.#room, PEER, ["--auth-timeout", "60000"]);
    return this.#peer;
  }

  /** The key directory of a node, with its keys. */
  keysOf(name: string): string {
    if (name === PEER) return this.peer.keyDir;
    const dir = join(this.doctor.home, name);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    loadKeys(dir);
    return dir;
  }

  /** A node that speaks QUIC; its key directory is there before it, and those that it speaks of too. */
  async node(name: string, side: QuicSide = {}): Promise<RecordedNode> {
    const { trust = "tofu", cookie = COOKIE, pins = {}, revokes = [], skewMs = 0, options = {} } = side;
    const dir = this.keysOf(name);
    const keyOf = (of: string): Buffer => readFileSync(join(this.keysOf(of), "node.pub"));
    for (const [of, which] of Object.entries(pins)) {
      mkdirSync(join(dir, "trusted"), { recursive: true, mode: 0o700 });
      writeFileSync(join(dir, "trusted", `${of}.pub`), which === "right" ? keyOf(of) : Buffer.alloc(32, 0x11));
    }
    for (const of of revokes) {
      mkdirSync(join(dir, "revoked"), { recursive: true, mode: 0o700 });
      writeFileSync(join(dir, "revoked", createHash("sha256").update(keyOf(of)).digest("hex")), "");
    }
    return this.doctor.node(
      { name, cookie, quic: {}, tickTimeMs: 60_000, identity: { dir, trust }, ...options },
      new MovedClock(skewMs),
    );
  }

  /** A UDP service; `answer` undefined: it hears and says nothing. */
  async service(answer?: (datagram: Buffer) => Buffer): Promise<number> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    if (answer !== undefined)
      socket.on("message", (bytes, from) => socket.send(answer(bytes), from.port, from.address));
    this.doctor.closes(() => socket.close());
    return (socket.address() as AddressInfo).port;
  }

  /** A UDP port that nobody has. */
  async freePort(): Promise<number> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const { port } = socket.address() as AddressInfo;
    socket.close();
    return port;
  }

  async stop(): Promise<void> {
    await this.#peer?.stop();
    await this.doctor.stop();
    this.#room.remove();
  }
}
