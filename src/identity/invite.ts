import { SallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE, SECRET_MODE } from "../base/files.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, sameNode, tryNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { INVITE_ID_BYTES, INVITE_SECRET_BYTES, InviteToken, inviteMac } from "./invite-token.ts";
import { INVITES_DIRECTORY } from "./key-layout.ts";
import { parseObject } from "./pin-meta.ts";
import type { Fingerprint } from "./public-key.ts";

/** How long an invite holds when nothing else is said: one hour, in milliseconds. */
export const INVITE_TTL_MS = 3_600_000;

/** Longest time an invite may hold: seven days, in milliseconds. */
export const MAX_INVITE_TTL_MS: number = 7 * 86_400_000;

/** Most invites that may be open at once. */
export const MAX_INVITES = 256;

const MAX_FILE_CHARS = 2048;

/** An open invite, for people. */
export interface OpenInvite {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly invitee: NodeName;
  readonly createdMs: number;
  readonly expiresMs: number;
}

interface StoredInvite extends OpenInvite {
  readonly secret: Buffer;
}

/** Why an invite is not accepted. The peer learns only `auth`. */
export type InviteVerdict = "valid" | "unknown" | "burned" | "expired" | "other-name" | "bad-proof";

/** What a dialler shows of an invite. */
export interface InviteProof {
  readonly id: Uint8Array;
  readonly mac: Uint8Array;
  /** `H` of the handshake it came in. */
  readonly transcriptHash: Uint8Array;
  /** Who shows it; proven. */
  readonly name: NodeName;
}

export interface InviteWorld {
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
  readonly random: Random;
  /** The key directory, without a slash at its end. */
  readonly directory: string;
}

/**
 * The acceptor's invites: `invites/ID.json` (mode 0600) while open, `invites/ID.burned` once used. The proof is a keyed
 * digest, whose check needs the secret itself; so the secret lies on disk while the invite is open, beside the node's own
 * key, and is removed when it is used or expires.
 */
export class InviteStore {
  readonly #world: InviteWorld;
  readonly #directory: string;

  constructor(world: InviteWorld) {
    this.#world = world;
    this.#directory = `${world.directory}/${INVITES_DIRECTORY}`;
  }

  /**
   * Makes an invite for one node name.
   * @throws {SallyportError} ERR_LIMIT INVITES_FULL, ERR_CONFIG INVITE_TTL, ERR_DENIED INVITE_NOT_DURABLE
   */
  issue(of: {
    readonly invitee: NodeName;
    readonly acceptor: NodeName;
    readonly acceptorKey: Fingerprint;
    readonly nowMs: number;
    readonly ttlMs?: number;
  }): InviteToken {
    const { files, crypto, random } = this.#world;
    const ttlMs = of.ttlMs ?? INVITE_TTL_MS;
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1 || ttlMs > MAX_INVITE_TTL_MS) {
      throw new SallyportError("ERR_CONFIG", "INVITE_TTL", `an invite cannot hold for ${ttlMs} milliseconds`, {
        stage: "identity",
        advice: `give 1 to ${MAX_INVITE_TTL_MS} milliseconds`,
      });
    }
    const open = this.prune(of.nowMs).length;
    if (open >= MAX_INVITES) {
      throw new SallyportError("ERR_LIMIT", "INVITES_FULL", `${open} invites are open, all that may be`, {
        stage: "identity",
        detail: { limit: MAX_INVITES, value: open + 1 },
        advice: "withdraw some, or wait until they expire",
      });
    }
    const id = random.bytes(INVITE_ID_BYTES);
    const secret = random.bytes(INVITE_SECRET_BYTES);
    const expiresMs = of.nowMs + ttlMs;
    const invitee = canonicalName(of.invitee);
    const content = { version: 1, invitee, createdMs: of.nowMs, expiresMs, secret: secret.toString("base64") };
    try {
      files.makeDirectory(this.#directory, DIRECTORY_MODE);
      files.writeNew(this.#openPath(id.toString("hex")), JSON.stringify(content), SECRET_MODE);
      return new InviteToken({ ...of, id, invitee, expiresMs }, secret, crypto);
    } catch (cause) {
      throw notDurable(cause);
    } finally {
      secret.fill(0);
    }
  }

  /** Judges a proof from a handshake. Burns nothing; one that has expired goes. Never throws on a peer's bytes. */
  check(proof: InviteProof, nowMs: number): InviteVerdict {
    if (proof.id.length !== INVITE_ID_BYTES) return "unknown";
    const { crypto } = this.#world;
    const id = Buffer.from(proof.id).toString("hex");
    if (this.#isBurned(id)) return "burned";
    const stored = this.#read(id);
    if (stored === undefined) return "unknown";
    const expected = inviteMac(stored.secret, proof.transcriptHash, crypto);
    stored.secret.fill(0);
    if (!crypto.equal(expected, proof.mac)) return "bad-proof";
    if (!sameNode(stored.invitee, proof.name)) return "other-name";
    if (nowMs <= stored.expiresMs) return "valid";
    // Gone for good: a clock that is set back must not bring it back.
    this.#removeQuietly(this.#openPath(id));
    return "expired";
  }

  /**
   * Uses an invite up, durably, before the pin is written and CONFIRM is sent. Of several handshakes, also in several
   * processes, one gets it.
   * @throws {SallyportError} ERR_DENIED INVITE_BURNED, INVITE_NOT_DURABLE
   */
  burn(id: Uint8Array, by: Fingerprint): void {
    const { files } = this.#world;
    const hex = Buffer.from(id).toString("hex");
    try {
      if (files.facts(this.#openPath(hex)) === undefined) throw burned(hex);
      files.writeNew(this.#burnedPath(hex), `${by}\n`, SECRET_MODE);
    } catch (cause) {
      if (cause instanceof SallyportError) throw cause;
      throw systemCode(cause) === "EEXIST" ? burned(hex) : notDurable(cause);
    }
    this.#removeQuietly(this.#openPath(hex));
  }

  /** Takes an open invite back. Returns whether there was one. @throws {SallyportError} ERR_DENIED INVITE_NOT_DURABLE */
  withdraw(idHex: string): boolean {
    const id = idHex.toLowerCase();
    if (!/^[0-9a-f]{32}$/.test(id) || this.#read(id) === undefined) return false;
    try {
      this.#world.files.remove(this.#openPath(id));
    } catch (cause) {
      throw notDurable(cause);
    }
    return true;
  }

  /** Removes what expired or was used, and lists what is open, oldest first. */
  prune(nowMs: number): readonly OpenInvite[] {
    const open: OpenInvite[] = [];
    for (const name of this.#names()) {
      const id = name.slice(0, 32);
      if (name !== `${id}.json`) continue;
      const stored = this.#read(id);
      stored?.secret.fill(0);
      if (stored === undefined || stored.expiresMs < nowMs || this.#isBurned(id)) {
        this.#removeQuietly(this.#openPath(id));
      } else {
        const { invitee, createdMs, expiresMs } = stored;
        open.push({ id, invitee, createdMs, expiresMs });
      }
    }
    // The mark goes after the invite: until then it is all that says the invite was used.
    for (const name of this.#names()) {
      const id = name.slice(0, 32);
      if (name === `${id}.burned` && this.#isLapsed(id, nowMs)) this.#removeQuietly(this.#burnedPath(id));
    }
    return open.sort((a, b) => a.createdMs - b.createdMs);
  }

  #names(): readonly string[] {
    try {
      return this.#world.files.list(this.#directory);
    } catch (cause) {
      throw notDurable(cause);
    }
  }

  /** Whether a mark has done its work. It stays for a while, for a process that saw the invite just before. */
  #isLapsed(id: string, nowMs: number): boolean {
    const { files } = this.#world;
    try {
      const mark = files.facts(this.#burnedPath(id));
      return (
        mark !== undefined && nowMs - mark.changedMs > INVITE_TTL_MS && files.facts(this.#openPath(id)) === undefined
      );
    } catch {
      return false;
    }
  }

  #isBurned(id: string): boolean {
    try {
      return this.#world.files.facts(this.#burnedPath(id)) !== undefined;
    } catch {
      return true;
    }
  }

  /** An invite from disk; undefined when there is none or its file is broken. */
  #read(id: string): StoredInvite | undefined {
    let text: string;
    try {
      text = this.#world.files.readText(this.#openPath(id));
    } catch {
      return undefined;
    }
    const json = text.length > MAX_FILE_CHARS ? undefined : parseObject(text);
    const { version, invitee, createdMs, expiresMs, secret } = json ?? {};
    if (version !== 1 || typeof invitee !== "string" || typeof secret !== "string") return undefined;
    if (typeof createdMs !== "number" || typeof expiresMs !== "number") return undefined;
    const name = tryNodeName(invitee);
    const bytes = Buffer.from(secret, "base64");
    if (name === undefined || bytes.length !== INVITE_SECRET_BYTES) return undefined;
    return { id, invitee: name, createdMs, expiresMs, secret: bytes };
  }

  #openPath(id: string): string {
    return `${this.#directory}/${id}.json`;
  }

  #burnedPath(id: string): string {
    return `${this.#directory}/${id}.burned`;
  }

  #removeQuietly(path: string): void {
    try {
      this.#world.files.remove(path);
    } catch {
      // The next prune tries again; until then the mark beside it keeps it shut.
    }
  }
}

function burned(id: string): SallyportError {
  return new SallyportError("ERR_DENIED", "INVITE_BURNED", `the invite ${id.slice(0, 32)} was used or withdrawn`, {
    stage: "identity",
    advice: "issue a new invite; if its owner did not use it, somebody else has its text",
  });
}

function notDurable(cause: unknown): SallyportError {
  return new SallyportError("ERR_DENIED", "INVITE_NOT_DURABLE", "cannot read or write the invites", {
    stage: "identity",
    detail: { system: systemCode(cause) },
    advice: "let this process's user write the key directory, and see that the disk has room",
    cause,
  });
}
