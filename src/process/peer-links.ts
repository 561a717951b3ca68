import { SallyportError } from "../base/errors.ts";
import type { Pid } from "../term/types.ts";
import type { LocalProcess } from "./local-process.ts";
import { pidKey } from "./term-keys.ts";

/** UNLINK_ID ids are 1 to 2^64 - 1. */
const MAX_UNLINK_ID = 0xffff_ffff_ffff_ffffn;

/** State of one pair of processes (otp-distribution section 4.1). No record: not linked. */
interface LinkRecord {
  readonly remotePid: Pid;
  /** Undefined: linked. Otherwise unlinked by us, exits are ignored, and this UNLINK_ID waits for its acknowledgement. */
  unlinkId: bigint | undefined;
  /** The peer made the record with LINK. */
  byPeer: boolean;
}

/** The two ends of a record. */
export interface LinkedPair<Meta, Tag> {
  readonly process: LocalProcess<Meta, Tag>;
  readonly remotePid: Pid;
  /** The peer made the link. */
  readonly byPeer: boolean;
}

/** Link records between processes of this node and those of one peer. Sends and calls nothing: it only keeps the state. */
export class PeerLinks<Meta, Tag> {
  readonly #maxLinks: number;
  readonly #maxLinksIn: number;
  readonly #records: Map<LocalProcess<Meta, Tag>, Map<string, LinkRecord>> = new Map();
  #size = 0;
  #sizeByPeer = 0;
  #lastUnlinkId = 0n;

  constructor(maxLinks: number, maxLinksIn: number) {
    this.#maxLinks = maxLinks;
    this.#maxLinksIn = maxLinksIn;
  }

  /** Records, with those that wait for an acknowledgement. */
  get size(): number {
    return this.#size;
  }

  active(process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    const record = this.#records.get(process)?.get(pidKey(remotePid));
    return record !== undefined && record.unlinkId === undefined;
  }

  /**
   * We link: true when LINK must be sent, false when the pair is linked already. Forgets an unlink on its way.
   * @throws {SallyportError} ERR_LIMIT LINK_LIMIT
   */
  linkByUs(process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    const key = pidKey(remotePid);
    const record = this.#records.get(process)?.get(key);
    if (record === undefined) {
      if (this.#size >= this.#maxLinks) throw linkLimit(this.#maxLinks);
      this.#add(process, key, { remotePid, unlinkId: undefined, byPeer: false });
      return true;
    }
    if (record.unlinkId === undefined) return false;
    record.unlinkId = undefined;
    if (record.byPeer) this.#sizeByPeer--;
    record.byPeer = false;
    return true;
  }

  /** The peer links: a record that exists is left as it is, even one that waits for an acknowledgement. */
  linkByPeer(process: LocalProcess<Meta, Tag>, remotePid: Pid): "linked" | "ignored" | "over-limit" {
    const key = pidKey(remotePid);
    if (this.#records.get(process)?.has(key) === true) return "ignored";
    if (this.full) return "over-limit";
    this.#add(process, key, { remotePid, unlinkId: undefined, byPeer: true });
    return "linked";
  }

  /** True when the peer may not link any more. */
  get full(): boolean {
    return this.#sizeByPeer >= this.#maxLinksIn || this.#size >= this.#maxLinks;
  }

  /** We unlink: the id of the UNLINK_ID to send, or `undefined` when there is no active link. */
  unlinkByUs(process: LocalProcess<Meta, Tag>, remotePid: Pid): bigint | undefined {
    const record = this.#records.get(process)?.get(pidKey(remotePid));
    if (record === undefined || record.unlinkId !== undefined) return undefined;
    this.#lastUnlinkId = this.#lastUnlinkId === MAX_UNLINK_ID ? 1n : this.#lastUnlinkId + 1n;
    record.unlinkId = this.#lastUnlinkId;
    return record.unlinkId;
  }

  /** Removes an active link, because the peer unlinked or its process ended. False: there is none. */
  removeActive(process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    const key = pidKey(remotePid);
    const record = this.#records.get(process)?.get(key);
    if (record === undefined || record.unlinkId !== undefined) return false;
    this.#remove(process, key, record);
    return true;
  }

  /** The peer acknowledged our unlink. False: not the one we wait for. */
  acknowledged(id: bigint, process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    const key = pidKey(remotePid);
    const record = this.#records.get(process)?.get(key);
    if (record === undefined || record.unlinkId !== id) return false;
    this.#remove(process, key, record);
    return true;
  }

  /** Removes all records of a process and returns the other ends of its active links. */
  take(process: LocalProcess<Meta, Tag>): readonly Pid[] {
    const records = this.#records.get(process);
    if (records === undefined) return [];
    this.#records.delete(process);
    const ends: Pid[] = [];
    for (const record of records.values()) {
      this.#size--;
      if (record.byPeer) this.#sizeByPeer--;
      if (record.unlinkId === undefined) ends.push(record.remotePid);
    }
    return ends;
  }

  /** A list of the pairs with a record, whatever its state. */
  all(): readonly LinkedPair<Meta, Tag>[] {
    const pairs: LinkedPair<Meta, Tag>[] = [];
    for (const [process, records] of this.#records) {
      for (const { remotePid, byPeer } of records.values()) pairs.push({ process, remotePid, byPeer });
    }
    return pairs;
  }

  /** Removes all records. */
  clear(): void {
    this.#records.clear();
    this.#size = 0;
    this.#sizeByPeer = 0;
  }

  #add(process: LocalProcess<Meta, Tag>, key: string, record: LinkRecord): void {
    let records = this.#records.get(process);
    if (records === undefined) {
      records = new Map();
      this.#records.set(process, records);
    }
    records.set(key, record);
    this.#size++;
    if (record.byPeer) this.#sizeByPeer++;
  }

  #remove(process: LocalProcess<Meta, Tag>, key: string, record: LinkRecord): void {
    const records = this.#records.get(process);
    if (records === undefined) return;
    records.delete(key);
    if (records.size === 0) this.#records.delete(process);
    this.#size--;
    if (record.byPeer) this.#sizeByPeer--;
  }
}

function linkLimit(limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "LINK_LIMIT",
    `${limit} links to this peer exist, which is maxLinks; unlink some`,
    {
      detail: { limit, value: limit + 1, option: "maxLinks" },
      advice: "unlink what is no longer needed",
    },
  );
}
