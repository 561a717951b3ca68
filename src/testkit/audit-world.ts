import type { AttemptEntry } from "../audit/attempt-entries.ts";
import { AuditLog } from "../audit/audit-log.ts";
import { AuditTrail } from "../audit/audit-trail.ts";
import type { ChainAnchors } from "../audit/chain-checker.ts";
import { type AuditLimits, DEFAULT_AUDIT_LIMITS } from "../audit/limits.ts";
import { type AuditFields, type ChainCrypto, GENESIS } from "../audit/record.ts";
import { type ChainVerdict, verifyChain } from "../audit/verify-chain.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { FaultyFiles } from "./faulty-files.ts";
import { VirtualClock } from "./virtual-clock.ts";

// What the tests of the audit log share.

export const crypto: ChainCrypto = new RealCrypto();

const DIRECTORY = "/audit";

/** A log on a disk in memory. */
export class AuditWorld {
  readonly files: FaultyFiles;
  readonly clock: VirtualClock = new VirtualClock();
  /** Reasons; those after the start come with the next turn of the clock. */
  readonly warnings: string[] = [];
  readonly log: AuditLog;
  readonly trail: AuditTrail;

  constructor(files: FaultyFiles = new FaultyFiles(), limits: Partial<AuditLimits> = {}) {
    this.files = files;
    const all = { ...DEFAULT_AUDIT_LIMITS, ...limits };
    this.log = new AuditLog({ files, crypto, clock: this.clock, directory: DIRECTORY, limits: all });
    this.trail = new AuditTrail(this.log, this.clock, all);
  }

  start(): this {
    this.trail.start("n@h");
    this.trail.listen((reason) => this.warnings.push(reason));
    return this;
  }

  /** The lines of all files, each file's last break taken off. */
  get lines(): string[] {
    return linesOf(this.files);
  }

  /** What the lines say, without those that are none. */
  get records(): AuditFields[] {
    return this.lines.flatMap((line) => {
      try {
        return [JSON.parse(line) as AuditFields];
      } catch {
        return [];
      }
    });
  }

  /** `kind` or `event` of each record. */
  get words(): unknown[] {
    return this.records.map((record) => record["event"] ?? record["kind"]);
  }

  verify(anchors: ChainAnchors = { from: GENESIS }): ChainVerdict {
    return verifyChain(this.lines, crypto, anchors);
  }
}

/** The lines of all files of a log, in order. */
export function linesOf(files: FaultyFiles): string[] {
  const texts = files.list(DIRECTORY).map((name) => files.read(`${DIRECTORY}/${name}`).toString("latin1"));
  return texts.flatMap((text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n")));
}

/** A refused attempt, changed where a test needs it. */
export function attemptEntry(change: Partial<AttemptEntry> = {}): AttemptEntry {
  return {
    id: "0123456789AB",
    role: "acceptor",
    protocol: "native",
    address: "192.0.2.1:50000",
    peer: "a@h",
    peerIs: "claimed",
    fingerprint: null,
    pinned: null,
    assurance: null,
    outcome: "refused",
    code: "ERR_DENIED",
    reason: "KEY_UNTRUSTED",
    stage: "identity",
    durationMs: 12,
    ...change,
  };
}
