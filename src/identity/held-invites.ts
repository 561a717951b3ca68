import { SallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE, SECRET_MODE } from "../base/files.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { type InviteContent, type InviteToken, parseInvite } from "./invite-token.ts";
import { JOINING_DIRECTORY } from "./key-layout.ts";
import { pinStem } from "./pin-stem.ts";
import type { Fingerprint } from "./public-key.ts";

/** Most invites of other nodes that wait to be used. */
export const MAX_HELD_INVITES = 64;

const SUFFIX = ".invite";
const MAX_FILE_BYTES = 1024;

export interface HeldInvitesWorld {
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
  /** The key directory, without a slash at its end. */
  readonly directory: string;
}

/**
 * The invites that this node was given and has not used yet: `joining/ACCEPTOR.invite` (mode 0600), one for each acceptor.
 * A dial to that acceptor shows it; the file goes when the acceptor is pinned, or when the invite has expired.
 */
export class HeldInvites {
  readonly #world: HeldInvitesWorld;
  readonly #directory: string;

  constructor(world: HeldInvitesWorld) {
    this.#world = world;
    this.#directory = `${world.directory}/${JOINING_DIRECTORY}`;
  }

  /**
   * Keeps an invite for the next dial to its acceptor; a former one of the same acceptor goes.
   * @param own the node that the invite must be for, and its key
   * @throws {SallyportError} ERR_CONFIG INVITE_INVALID, INVITE_OTHER_NODE, INVITE_OWN; ERR_DENIED INVITE_EXPIRED,
   * INVITE_NOT_KEPT; ERR_LIMIT INVITES_HELD
   */
  hold(text: string, own: { readonly name: NodeName; readonly key: Fingerprint }, nowMs: number): InviteContent {
    const { files, crypto } = this.#world;
    const token = parseInvite(text, nowMs, crypto);
    try {
      checkFor(token, own);
      const path = this.#path(token.acceptor);
      this.#checkRoom(path, nowMs);
      this.#durably(() => {
        files.makeDirectory(this.#directory, DIRECTORY_MODE);
        files.writeAtomic(path, `${token.text()}\n`, SECRET_MODE);
      });
      return token;
    } finally {
      token.destroy();
    }
  }

  /** The invite to show to a node; undefined when there is none that still counts. Destroy it after use. */
  find(acceptor: NodeName, nowMs: number): InviteToken | undefined {
    const path = this.#path(acceptor);
    const token = this.#read(path, nowMs);
    if (token === undefined || sameNode(token.acceptor, acceptor)) return token;
    token.destroy();
    return undefined;
  }

  /** The acceptor is pinned: its invite has done its work. Never throws; what stays expires. */
  drop(acceptor: NodeName): void {
    this.#removeQuietly(this.#path(acceptor));
  }

  #checkRoom(path: string, nowMs: number): void {
    const names = this.#durably(() => this.#world.files.list(this.#directory)).filter((name) => name.endsWith(SUFFIX));
    const others = names.map((name) => `${this.#directory}/${name}`).filter((other) => other !== path);
    if (others.length < MAX_HELD_INVITES) return;
    let open = 0;
    for (const other of others) {
      const token = this.#read(other, nowMs);
      token?.destroy();
      if (token === undefined) this.#removeQuietly(other);
      else open++;
    }
    if (open < MAX_HELD_INVITES) return;
    throw new SallyportError("ERR_LIMIT", "INVITES_HELD", `${open} invites wait to be used, all that may`, {
      stage: "identity",
      detail: { limit: MAX_HELD_INVITES, value: open + 1 },
      advice: "connect to the nodes that sent them, or wait until they expire",
    });
  }

  /** A file that is broken, too large or expired counts for nothing; an expired one goes. */
  #read(path: string, nowMs: number): InviteToken | undefined {
    const { files, crypto } = this.#world;
    try {
      const facts = files.facts(path);
      if (facts === undefined || facts.kind !== "file" || facts.bytes > MAX_FILE_BYTES) return undefined;
      return parseInvite(files.readText(path), nowMs, crypto);
    } catch (cause) {
      if (cause instanceof SallyportError && cause.reason === "INVITE_EXPIRED") this.#removeQuietly(path);
      return undefined;
    }
  }

  #path(acceptor: NodeName): string {
    return `${this.#directory}/${pinStem(acceptor, this.#world.crypto)}${SUFFIX}`;
  }

  #durably<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw new SallyportError("ERR_DENIED", "INVITE_NOT_KEPT", "the invite cannot be kept on disk", {
        stage: "identity",
        detail: { system: systemCode(cause) },
        advice: "let this process's user write the key directory, and see that the disk has room",
        cause,
      });
    }
  }

  #removeQuietly(path: string): void {
    try {
      this.#world.files.remove(path);
    } catch {
      // It expires, and says nothing to anybody but its acceptor.
    }
  }
}

function checkFor(token: InviteToken, own: { readonly name: NodeName; readonly key: Fingerprint }): void {
  const { acceptor, acceptorKey, invitee } = token;
  if (sameNode(acceptor, own.name) || acceptorKey === own.key) {
    throw new SallyportError("ERR_CONFIG", "INVITE_OWN", "this node itself made that invite", {
      stage: "identity",
      advice: `hand it over to ${invitee}, and use it there`,
    });
  }
  if (sameNode(invitee, own.name)) return;
  throw new SallyportError("ERR_CONFIG", "INVITE_OTHER_NODE", `the invite is for ${invitee}, and this is ${own.name}`, {
    stage: "identity",
    advice: `ask ${acceptor} for one made with: sallyport keys invite ${own.name}`,
  });
}
