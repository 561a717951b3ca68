import { resolve } from "node:path";
import { SallyportError, systemCode } from "../../base/errors.ts";
import { SECRET_MODE } from "../../base/files.ts";
import { canonicalName, parseNodeName, sameNode } from "../../base/node-name.ts";
import {
  BUNDLE_VALIDITY_MS,
  type Bundle,
  type BundleNode,
  importBundle,
  MAX_BUNDLE_CHARS,
  makeBundle,
  parseBundle,
} from "../../identity/bundle.ts";
import { HeldInvites } from "../../identity/held-invites.ts";
import { INVITE_TTL_MS, InviteStore } from "../../identity/invite.ts";
import { quotePath } from "../../identity/key-layout.ts";
import { fingerprintOf, formatPublicKey, parseFingerprint, sameKey } from "../../identity/public-key.ts";
import type { TrustStore } from "../../identity/trust-store.ts";
import type { CommandWorld } from "../command-world.ts";
import { type ImportAction, type PlannedPin, planImport } from "../import-plan.ts";
import { inviteWarnings, joinWarnings } from "../invite-way.ts";
import { KeyDirectory, type KeyFlags } from "../key-directory.ts";
import { formatKeyLine, parseKeyLines } from "../key-lines.ts";
import { reportResult } from "../report.ts";
import { tellRunningNode } from "../running-node.ts";
import { moment, table } from "../table.ts";
import { printable } from "../terminal.ts";

export interface KeysExportFlags extends KeyFlags {
  /** `NAME=KEY`, or a file of key lines, each. */
  readonly bundle?: readonly string[];
  /** Milliseconds. */
  readonly ttl?: number;
}

/** `keys export`: this node's public key as a line, or a signed bundle with those of others. */
export async function keysExport(world: CommandWorld, flags: KeysExportFlags): Promise<void> {
  const directory = new KeyDirectory(world, flags);
  const name = directory.mustHaveName();
  const { key } = directory.load();
  try {
    const { fingerprint } = key;
    if (flags.bundle === undefined) {
      const line = formatKeyLine(name, key.publicKey);
      const result = { name: canonicalName(name), publicKey: formatPublicKey(key.publicKey), fingerprint, line };
      reportResult(world.terminal, result, line);
      return;
    }
    const nodes: BundleNode[] = [{ name: canonicalName(name), key: key.publicKey }];
    for (const source of flags.bundle) {
      for (const node of readSource(world, source)) {
        const same = nodes.find((other) => sameNode(other.name, node.name) && sameKey(other.key, node.key));
        if (same === undefined) nodes.push(node);
      }
    }
    const bundle = makeBundle(nodes, key, world.clock.wallMs(), flags.ttl ?? BUNDLE_VALIDITY_MS);
    const names = nodes.map((node) => node.name).sort();
    reportResult(world.terminal, { bundle, signer: fingerprint, nodes: names }, bundle.trimEnd());
  } finally {
    key.destroy();
  }
}

export interface KeysImportFlags extends KeyFlags {
  readonly replace?: boolean;
  readonly dryRun?: boolean;
  /** Fingerprint of who signed the bundle. */
  readonly signer?: string;
}

/** `keys import FILE`: pins the keys of a file, all or none. */
export async function keysImport(world: CommandWorld, flags: KeysImportFlags, file: string): Promise<void> {
  const directory = new KeyDirectory(world, flags);
  const text = readFile(world, file);
  const nowMs = world.clock.wallMs();
  const replace = flags.replace === true;
  const bundle = text.trimStart().startsWith("{") ? parseBundle(text, nowMs, world.identityCrypto) : undefined;
  // A bundle holds this node too: without its name nobody can tell that from an attack.
  if (bundle !== undefined) directory.mustHaveName();
  const store = directory.trust();
  const plan = planImport(store, bundle?.nodes ?? parseKeyLines(text, file), world.identityCrypto, replace);
  const dryRun = flags.dryRun === true;
  if (!dryRun) {
    if (bundle === undefined) pin(store, plan, nowMs, replace);
    else vouch(world, store, bundle, flags);
  }
  const node = dryRun ? "none" : await tellRunningNode(world, flags);
  const signer = bundle === undefined ? null : fingerprintOf(bundle.signer, world.identityCrypto);
  const pins = plan.map(({ name, fingerprint, action }) => ({ name, fingerprint, action }));
  reportResult(world.terminal, { pins, signer, dryRun, node }, human(world, plan, signer, dryRun));
}

function pin(store: TrustStore, plan: readonly PlannedPin[], nowMs: number, replace: boolean): void {
  for (const { name, key, action } of plan) {
    if (action !== "own") store.add(name, key, { nowMs, replace, origin: "operator" });
  }
}

function vouch(world: CommandWorld, store: TrustStore, bundle: Bundle, flags: KeysImportFlags): void {
  importBundle(store, bundle, world.identityCrypto, {
    nowMs: world.clock.wallMs(),
    replace: flags.replace === true,
    ...(flags.signer === undefined ? {} : { signer: parseFingerprint(flags.signer) }),
  });
}

const DONE: Readonly<Record<ImportAction, string>> = {
  added: "added",
  unchanged: "unchanged",
  replaced: "replaced",
  promoted: "promoted from first use",
  own: "this node",
};

function human(world: CommandWorld, plan: readonly PlannedPin[], signer: string | null, dryRun: boolean): string {
  const rows = plan.map(({ name, fingerprint, action }) => [name, fingerprint, DONE[action]]);
  const lines = [table(["NAME", "FINGERPRINT", dryRun ? "WOULD BE" : "NOW"], rows, world.terminal.colours.dim)];
  if (signer !== null) lines.push(`signed by ${signer}`);
  if (dryRun) lines.push("nothing was written");
  return lines.join("\n");
}

export interface KeysInviteFlags extends KeyFlags {
  /** Milliseconds. */
  readonly ttl?: number;
  readonly out?: string;
}

/** `keys invite NAME`: a one-time token with which NAME pins this node and is pinned by it. */
export async function keysInvite(world: CommandWorld, flags: KeysInviteFlags, invited: string): Promise<void> {
  const { terminal, files, random, clock, identityCrypto: crypto } = world;
  const directory = new KeyDirectory(world, flags);
  const acceptor = directory.mustHaveName();
  const invitee = parseNodeName(invited);
  const { key } = directory.load();
  key.destroy();
  const store = new InviteStore({ files, crypto, random, directory: directory.path });
  const token = store.issue({
    invitee,
    acceptor,
    acceptorKey: key.fingerprint,
    nowMs: clock.wallMs(),
    ttlMs: flags.ttl ?? INVITE_TTL_MS,
  });
  const text = token.text();
  const { expiresMs } = token;
  token.destroy();
  const file = flags.out === undefined ? undefined : resolve(world.directory, flags.out);
  try {
    if (file !== undefined) writeNew(world, file, `${text}\n`);
  } catch (error) {
    // Nobody has its text.
    store.withdraw(token.id.toString("hex"));
    throw error;
  }
  const warnings = inviteWarnings(world, flags);
  const { fingerprint } = key;
  const facts = { invitee: token.invitee, acceptor: token.acceptor, fingerprint, expiresMs, warnings };
  directory.warn(warnings);
  reportResult(terminal, file === undefined ? { invite: text, ...facts } : { file, ...facts }, file ?? text);
  if (terminal.json) return;
  const { dim } = terminal.errorColours;
  terminal.note(dim(`for ${token.invitee}, once, until ${moment(expiresMs)}`));
  terminal.note(dim("It is a secret: hand it over on a private channel, as a file, never as an argument."));
  terminal.note(dim(`${token.invitee} uses it with: sallyport keys join FILE`));
}

export interface KeysInvitesFlags extends KeyFlags {
  /** Id of an invite that is taken back. */
  readonly withdraw?: string;
}

/** `keys invites`: those that are open, never their secrets; or takes one back. */
export async function keysInvites(world: CommandWorld, flags: KeysInvitesFlags): Promise<void> {
  const { terminal, files, random, clock, identityCrypto: crypto } = world;
  const store = new InviteStore({ files, crypto, random, directory: new KeyDirectory(world, flags).path });
  const { withdraw } = flags;
  if (withdraw !== undefined && !store.withdraw(withdraw)) {
    throw new SallyportError("ERR_CONFIG", "INVITE_NOT_FOUND", `no open invite has the id ${quotePath(withdraw)}`, {
      stage: "identity",
      advice: "list those that are open with: sallyport keys invites",
    });
  }
  const invites = store.prune(clock.wallMs());
  const rows = invites.map(({ id, invitee, expiresMs }) => [id, invitee, moment(expiresMs)]);
  const list = rows.length === 0 ? "no open invites" : table(["ID", "FOR", "UNTIL"], rows, terminal.colours.dim);
  reportResult(terminal, { withdrawn: withdraw ?? null, invites }, list);
}

/** `keys join FILE`: keeps an invite of another node, for the next connection to it. */
export async function keysJoin(world: CommandWorld, flags: KeyFlags, file: string): Promise<void> {
  const { terminal, files, clock, identityCrypto: crypto } = world;
  const directory = new KeyDirectory(world, flags);
  const name = directory.mustHaveName();
  const { key } = directory.loadOrMake();
  key.destroy();
  const held = new HeldInvites({ files, crypto, directory: directory.path });
  const own = { name, key: key.fingerprint };
  const { acceptor, acceptorKey, expiresMs } = held.hold(readFile(world, file), own, clock.wallMs());
  const warnings = joinWarnings(world, flags, acceptor);
  directory.warn(warnings);
  const human = [
    `${acceptor} ${acceptorKey}`,
    terminal.colours.dim(`once, until ${moment(expiresMs)}; connect to use it: sallyport ping ${acceptor}`),
  ];
  reportResult(terminal, { acceptor, fingerprint: acceptorKey, name, expiresMs, warnings }, human.join("\n"));
}

function readSource(world: CommandWorld, source: string): readonly BundleNode[] {
  const equals = source.indexOf("=");
  // Node names hold no "/", and a file may hold "=".
  if (equals > 0 && source.slice(0, equals).includes("@") && !source.slice(0, equals).includes("/")) {
    return parseKeyLines(`${source.slice(0, equals)} ${source.slice(equals + 1)}`, "--bundle");
  }
  return parseKeyLines(readFile(world, source), source);
}

function readFile(world: CommandWorld, file: string): string {
  const path = resolve(world.directory, file);
  let bytes: number | undefined;
  try {
    bytes = world.files.facts(path)?.bytes;
    if (bytes === undefined || bytes <= MAX_BUNDLE_CHARS) return world.files.readText(path);
  } catch (cause) {
    throw new SallyportError("ERR_CONFIG", "FILE_UNREADABLE", `cannot read ${quotePath(path)} (${systemCode(cause)})`, {
      advice: "name a file with the output of `sallyport keys export` or `sallyport keys invite`",
      cause,
    });
  }
  throw new SallyportError(
    "ERR_LIMIT",
    "BUNDLE_SIZE",
    `${printable(path)} has ${bytes} bytes, more than ${MAX_BUNDLE_CHARS}`,
    {
      stage: "identity",
      detail: { value: bytes, limit: MAX_BUNDLE_CHARS },
      advice: "split it into several files",
    },
  );
}

function writeNew(world: CommandWorld, path: string, text: string): void {
  try {
    world.files.writeNew(path, text, SECRET_MODE);
  } catch (cause) {
    throw new SallyportError(
      "ERR_CONFIG",
      "FILE_NOT_WRITTEN",
      `cannot write ${quotePath(path)} (${systemCode(cause)})`,
      {
        advice: "choose a new file in a directory that you may write to; nothing is overwritten",
        cause,
      },
    );
  }
}
