import type { Clock } from "../base/clock.ts";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { FileWatch, fileStamp } from "../base/file-watch.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { TlsMaterialWarning } from "../carrier/tls-material.ts";
import type { CertificateReloadResult, NodeCertificate } from "./certificate-api.ts";
import type { TlsOption, TlsSideOption } from "./options.ts";
import { loadTlsSides, type TlsSides } from "./tls-sides.ts";

/** What the files say, read as a start does; `M` is what TLS is made of. */
export interface ReadCertificate<M> {
  readonly material: M;
  readonly warnings: readonly TlsMaterialWarning[];
  /** End of the node's own certificate, Unix milliseconds. */
  readonly notAfterMs: number;
}

export interface ConfiguredCertificateOptions<M> {
  readonly files: StoreFiles;
  readonly clock: Clock;
  /** The files that are looked at. */
  readonly paths: readonly string[];
  /** @throws {SallyportError} ERR_CONFIG where they cannot be used */
  readonly read: () => ReadCertificate<M>;
  /** `strict` refuses what `standard` warns of. */
  readonly profile: "standard" | "strict";
  /** @throws {SallyportError} where TLS cannot use the material */
  readonly check: (material: M) => void;
}

/** Who hears of changes of the certificate files. */
export interface ConfiguredCertificateWatcher<M> {
  /** Other material counts from now on. */
  replaced(material: M): void;
  warned(reason: string, message: string): void;
  /** Every attempt to take the files anew, with what came of it. */
  reloaded(result: CertificateReloadResult): void;
}

/**
 * Certificate, key and CA of the operator's files (option `tls`), as they count now. While the node runs the files are
 * looked at, and a set that a start would take replaces the present one; any other leaves it (docs/certificates.md).
 */
export class ConfiguredCertificate<M = TlsSides> implements NodeCertificate {
  readonly #options: ConfiguredCertificateOptions<M>;
  readonly #stamp: string;
  #loaded: ReadCertificate<M>;
  #generation = 1;
  #isRejecting = false;
  #watcher: ConfiguredCertificateWatcher<M> | undefined;
  #watch: FileWatch | undefined;

  /**
   * Reads the files as a start does.
   * @throws {SallyportError} ERR_CONFIG KEY_PERMISSIONS, KEY_DIRECTORY_WRITABLE in profile strict; those of `read` and
   * `check`
   */
  constructor(options: ConfiguredCertificateOptions<M>) {
    this.#options = options;
    // Before they are read: what changes between the reading and the watch is noticed.
    this.#stamp = fileStamp(options.paths, options.files);
    this.#loaded = load(options);
  }

  /** For new TLS sessions. */
  get current(): M {
    return this.#loaded.material;
  }

  get warnings(): readonly TlsMaterialWarning[] {
    return this.#loaded.warnings;
  }

  get generation(): number {
    return this.#generation;
  }

  get notAfterMs(): number {
    return this.#loaded.notAfterMs;
  }

  /** Whether the files as they are now cannot be taken. */
  get isRejecting(): boolean {
    return this.#isRejecting;
  }

  /** Looks at the files from now on, and tells of what changes. */
  watch(watcher: ConfiguredCertificateWatcher<M>): void {
    const { paths, files, clock } = this.#options;
    this.#watcher = watcher;
    this.#watch = new FileWatch(paths, { files, clock }, () => void this.reload(), this.#stamp);
  }

  stop(): void {
    this.#watch?.stop();
  }

  reload(): CertificateReloadResult {
    const result = this.#take();
    this.#watcher?.reloaded(result);
    return result;
  }

  #take(): CertificateReloadResult {
    const generation = this.#generation;
    let next: ReadCertificate<M>;
    try {
      next = load(this.#options);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      this.#isRejecting = true;
      const text = error.message.replace(/^\[ERR_[A-Z_]+\] /, "");
      const message = `the certificate files were changed and cannot be used, so the old ones stay: ${text}`;
      this.#watcher?.warned("RELOAD_REJECTED", message);
      return { ok: false, generation, reason: error.reason, message: error.message };
    }
    this.#isRejecting = false;
    if (JSON.stringify(next.material) === JSON.stringify(this.#loaded.material)) return { ok: true, generation };
    this.#loaded = next;
    this.#generation++;
    for (const { reason, message } of next.warnings) this.#watcher?.warned(reason, message);
    this.#watcher?.replaced(next.material);
    return { ok: true, generation: this.#generation };
  }
}

/** The files of option `tls`, for both sides. */
export function certificateFiles(
  tls: TlsOption,
  { files, clock }: Pick<ConfiguredCertificateOptions<TlsSides>, "files" | "clock">,
): Pick<ConfiguredCertificateOptions<TlsSides>, "paths" | "read"> {
  const paths = [tls, tls.server, tls.client].flatMap((side) => (side === undefined ? [] : pathsOf(side)));
  return {
    paths: [...new Set(paths)],
    read: () => {
      const sides = loadTlsSides(files, tls, clock.wallMs());
      const { server, client } = sides;
      const loaded = server.loaded === client.loaded ? [server.loaded] : [server.loaded, client.loaded];
      return {
        material: sides,
        warnings: loaded.flatMap(({ warnings }) => warnings),
        notAfterMs: Math.min(...loaded.map(({ notAfterMs }) => notAfterMs)),
      };
    },
  };
}

function load<M>({ read, profile, check }: ConfiguredCertificateOptions<M>): ReadCertificate<M> {
  const loaded = read();
  const [warning] = loaded.warnings;
  if (profile === "strict" && warning !== undefined) throw exposedKey(warning);
  check(loaded.material);
  return loaded;
}

function pathsOf({ certFile, keyFile, caFile, passphrase }: TlsSideOption): readonly string[] {
  return [certFile, keyFile, caFile, typeof passphrase === "object" ? passphrase.file : undefined].filter(
    (path) => path !== undefined,
  );
}

/** In profile strict nobody else may have a hand on the key file. */
function exposedKey({ reason, message }: TlsMaterialWarning): SallyportError {
  return reason === "KEY_PERMISSIONS"
    ? new SallyportError("ERR_CONFIG", "KEY_PERMISSIONS", message, {
        stage: "tls",
        advice: "make the key readable by its owner only (chmod 600), or use profile standard",
      })
    : new SallyportError("ERR_CONFIG", "KEY_DIRECTORY_WRITABLE", message, {
        stage: "tls",
        advice: "let only the owner write the directory of the key (chmod go-w), or use profile standard",
      });
}
