import { SallyportError } from "../../base/errors.ts";
import { loadNodeKey } from "../../identity/key-files.ts";
import { NODE_KEY_FILE, NODE_PUB_FILE, quotePath } from "../../identity/key-layout.ts";
import { type Rotation, rollbackNodeKey, rotateNodeKey } from "../../identity/key-rotation.ts";
import { formatPublicKey } from "../../identity/public-key.ts";
import type { CommandWorld } from "../command-world.ts";
import { entryFor, entryOverQuic } from "../init-peers.ts";
import { KeyDirectory, type KeyFlags } from "../key-directory.ts";
import { reportResult } from "../report.ts";
import { type Told, tellRunningNode } from "../running-node.ts";
import { fields } from "../table.ts";
import { printable } from "../terminal.ts";
import { certificateLine, rollbackCertificate, rotateCertificate, shownCertificate } from "./keys-certificate.ts";

export interface KeysInitFlags extends KeyFlags {
  readonly newIdentity?: boolean;
}

/**
 * `keys init`: makes a pair where there is none.
 * @throws {SallyportError} ERR_CONFIG KEY_EXISTS, and what `loadNodeKey` throws
 */
export async function keysInit(world: CommandWorld, flags: KeysInitFlags): Promise<void> {
  const directory = new KeyDirectory(world, flags);
  const lost = flags.newIdentity === true ? "create" : "refuse";
  const { key, created, warnings } = loadNodeKey({ ...directory.options(), lost });
  key.destroy();
  if (!created) {
    throw new SallyportError("ERR_CONFIG", "KEY_EXISTS", `${quotePath(directory.path)} has a key: ${key.fingerprint}`, {
      stage: "identity",
      advice: "to change it so that peers follow: sallyport keys rotate",
    });
  }
  directory.warn(warnings);
  const { fingerprint } = key;
  const result = { fingerprint, publicKey: formatPublicKey(key.publicKey), directory: directory.path, warnings };
  reportResult(world.terminal, result, `${fingerprint}\nmade in ${printable(directory.path)}`);
}

/** Flags of `keys rotate` and `keys rollback`. */
export interface KeysRotateFlags extends KeyFlags {
  /** The certificate that the node makes for itself, and not its identity. */
  readonly certificate?: boolean;
}

/** `keys show`: the public side of the pair, and the certificate that the node has made for itself. */
export async function keysShow(world: CommandWorld, flags: KeyFlags): Promise<void> {
  const directory = new KeyDirectory(world, flags);
  const { key, chain, warnings } = directory.load();
  key.destroy();
  const files = { secret: `${directory.path}/${NODE_KEY_FILE}`, public: `${directory.path}/${NODE_PUB_FILE}` };
  const publicKey = formatPublicKey(key.publicKey);
  const { fingerprint } = key;
  const name = directory.name ?? null;
  const certificate = shownCertificate(directory);
  const human = fields(
    [
      ["name", name ?? "unknown"],
      ["fingerprint", fingerprint],
      ["public key", publicKey],
      ["secret in", files.secret],
      ["public in", files.public],
      ["rotations", `${chain.length} that peers can follow`],
      ["certificate", directory.certFile ?? certificateLine(certificate)],
      ...(name === null
        ? []
        : [
            ["in policies", entryFor(name, fingerprint)] as const,
            ["over QUIC", `${entryOverQuic(name)}, where this node dials: its key does not count there`] as const,
          ]),
    ],
    world.terminal.colours.dim,
  );
  const rotations = chain.length;
  const result = { name, fingerprint, publicKey, files, rotations, certificate: certificate ?? null, warnings };
  reportResult(world.terminal, result, human);
}

/** `keys rotate`: a new pair; the old one signs for it and goes to a backup. With `--certificate` a new certificate. */
export async function keysRotate(world: CommandWorld, flags: KeysRotateFlags): Promise<void> {
  if (flags.certificate === true) return rotateCertificate(world, flags);
  const directory = new KeyDirectory(world, flags);
  const name = directory.mustHaveName();
  directory.load().key.destroy();
  await report(world, flags, rotateNodeKey({ ...directory.options(), name }));
}

/** `keys rollback [STAMP]`: back to the pair, or with `--certificate` to the certificate, of a backup. */
export async function keysRollback(
  world: CommandWorld,
  flags: KeysRotateFlags,
  stamp: string | undefined,
): Promise<void> {
  if (flags.certificate === true) return rollbackCertificate(world, flags, stamp);
  const directory = new KeyDirectory(world, flags);
  const name = directory.mustHaveName();
  await report(world, flags, rollbackNodeKey({ ...directory.options(), name }, stamp));
}

async function report(world: CommandWorld, flags: KeyFlags, rotation: Rotation): Promise<void> {
  const { key, oldFingerprint, backup, files } = rotation;
  const { fingerprint } = key;
  key.destroy();
  const node = await tellRunningNode(world, flags);
  const human = fields(
    [
      ["old", oldFingerprint],
      ["new", fingerprint],
      ["backup", backup],
      ["node", SAYS[node]],
    ],
    world.terminal.colours.dim,
  );
  reportResult(world.terminal, { oldFingerprint, fingerprint, backup, files, node }, human);
}

const SAYS: Readonly<Record<Told, string>> = {
  told: "running, uses the new key from its next handshake",
  none: "not running here; one that runs without control socket must be restarted",
  "without-identity": "running without identity by key",
};
