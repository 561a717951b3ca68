import { resolve } from "node:path";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { type KeyFilesOptions, type LoadedKey, loadNodeKey } from "../identity/key-files.ts";
import type { IdentityWarning } from "../identity/key-layout.ts";
import { TrustStore } from "../identity/trust-store.ts";
import type { CertificateOptions } from "../node/certificate-pair.ts";
import type { IdentityOption } from "../node/options.ts";
import type { CommandWorld } from "./command-world.ts";
import { type ControlFlags, DEFAULT_KEY_DIRECTORY, keyDirectoryOf } from "./control-path.ts";
import { ownerOfCertificate } from "./own-name.ts";
import { findConfig, gatherSettings, nameNeeded } from "./settings.ts";
import { printable } from "./terminal.ts";

/** Flags of every command that works on a key directory. */
export interface KeyFlags extends ControlFlags {
  readonly name?: string;
  readonly json?: boolean;
}

/** Which configuration counts, and nothing else of the command line. */
function withoutKeys({ config }: KeyFlags): Pick<KeyFlags, "config"> {
  return config === undefined ? {} : { config };
}

/** Whether one of these endpoints or addresses is of QUIC. */
export function isOverQuic(addresses: unknown): boolean {
  return Array.isArray(addresses) && addresses.some((text) => String(text).startsWith("quic:"));
}

/** What Erlang calls a node without a name. Nobody can have it as a pin's name by accident. */
const NAMELESS = "nonode@nohost";

/** A key directory as the command line names it. */
export class KeyDirectory {
  /** Absolute. */
  readonly path: string;
  /** Of the node that owns the directory, when anything says it: `--name`, the configuration or its certificate. */
  readonly name: NodeName | undefined;
  /** The certificate that the configuration names for TLS; undefined when the node makes its own. */
  readonly certFile: string | undefined;
  /** Whether the configuration names a listener of QUIC, which shows the certificate that the node makes for itself. */
  readonly listensOverQuic: boolean;
  readonly trustMode: "strict" | "tofu";
  readonly #world: CommandWorld;
  readonly #crypto: IdentityCrypto;
  readonly #profile: "standard" | "strict";
  readonly #identity: Partial<IdentityOption>;

  /** @throws {SallyportError} as `findConfig`; ERR_CONFIG NAME_INVALID */
  constructor(world: CommandWorld, flags: KeyFlags) {
    const config = findConfig(flags, world);
    const named = flags.keyDir === undefined ? undefined : resolve(world.directory, flags.keyDir);
    this.path =
      named ?? (config === undefined ? resolve(world.directory, DEFAULT_KEY_DIRECTORY) : keyDirectoryOf(config));
    // What start would take: vm.args and the environment name the node and its certificate too.
    const book = gatherSettings({ ...withoutKeys(flags), timeout: 0, protocol: "auto" }, world, []);
    const certFile = book.find(["tls", "certFile"])?.value;
    this.certFile = typeof certFile === "string" ? certFile : undefined;
    this.listensOverQuic = isOverQuic(book.find(["listen"])?.value);
    const configured = book.find(["name"])?.value;
    const name = flags.name ?? (typeof configured === "string" ? configured : undefined);
    this.name =
      name === undefined
        ? this.certFile === undefined
          ? undefined
          : ownerOfCertificate(world.files, this.certFile).name
        : parseNodeName(name);
    this.#identity = config?.options.identity ?? {};
    this.trustMode = this.#identity.trust ?? "strict";
    this.#profile = config?.options.profile ?? "standard";
    this.#world = world;
    this.#crypto = world.identityCrypto;
  }

  /** The name, where the command cannot do without. @throws {SallyportError} ERR_CONFIG NAME_NEEDED */
  mustHaveName(): NodeName {
    if (this.name !== undefined) return this.name;
    throw nameNeeded(this.path);
  }

  /** What the functions of `identity/` take. */
  options(): KeyFilesOptions {
    const { files, random, clock } = this.#world;
    const { path: directory } = this;
    return { files, crypto: this.#crypto, random, directory, profile: this.#profile, nowMs: clock.wallMs() };
  }

  /** What the functions about the node's own certificate take. Without a name no certificate counts as fit. */
  certificateOptions(): CertificateOptions {
    const { files, random, clock } = this.#world;
    const name = this.name ?? parseNodeName(NAMELESS);
    return { files, crypto: this.#crypto, random, clock, directory: this.path, name, profile: this.#profile };
  }

  /**
   * The pair, which must be there. Destroy the key after use.
   * @throws {SallyportError} ERR_CONFIG KEY_MISSING, and what `loadNodeKey` throws
   */
  load(): LoadedKey {
    return this.#load({ ...this.options(), lost: "never-create" });
  }

  /** The pair, made where there is none. Destroy the key after use. @throws what `loadNodeKey` throws */
  loadOrMake(): LoadedKey {
    return this.#load(this.options());
  }

  /** The trust store, for one change or listing. @throws as `load`, and what `TrustStore` throws */
  trust(): TrustStore {
    const { key } = this.load();
    const { files, clock } = this.#world;
    const store = new TrustStore({
      files,
      crypto: this.#crypto,
      directory: this.path,
      mode: this.trustMode,
      ownName: this.name ?? parseNodeName(NAMELESS),
      ownKey: key.publicKey,
      allowReusedKeys: this.#identity.allowReusedKeys ?? false,
      limits: this.#identity.limits ?? {},
      nowMs: clock.wallMs(),
    });
    key.destroy();
    return store;
  }

  /** Says warnings on stderr, where people see them beside the result. */
  warn(warnings: readonly IdentityWarning[]): void {
    const { terminal } = this.#world;
    if (terminal.json) return;
    for (const { message } of warnings)
      terminal.note(`${terminal.errorColours.yellow("warning:")} ${printable(message)}`);
  }

  #load(options: KeyFilesOptions): LoadedKey {
    const loaded = loadNodeKey(options);
    this.warn(loaded.warnings);
    return loaded;
  }
}
