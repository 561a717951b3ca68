import type { TlsMaterial } from "../carrier/tls-material.ts";
import type { IdentityWarning } from "../identity/key-layout.ts";
import { loadOwnCertificate } from "./certificate-files.ts";
import type { CertificateOptions, CertificatePair } from "./certificate-pair.ts";

/** Who hears of changes of a node's own certificate. */
export interface CertificateWatcher {
  /** Another certificate counts from now on. */
  replaced(material: TlsMaterial): void;
  warned(warning: IdentityWarning): void;
}

/**
 * The certificate that a node without `tls` makes for itself, as it counts now. It secures the channel and says nothing
 * about who. Can be read anew from its files while the node runs.
 */
export class OwnCertificate {
  readonly #options: CertificateOptions;
  #pair: CertificatePair;
  #watcher: CertificateWatcher | undefined;
  #running: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;

  private constructor(options: CertificateOptions, pair: CertificatePair) {
    this.#options = options;
    this.#pair = pair;
  }

  /**
   * Loads the certificate, or makes it.
   * @throws {SallyportError} ERR_DENIED KEY_PERMISSIONS
   */
  static async open(
    options: CertificateOptions,
  ): Promise<{ readonly certificate: OwnCertificate; readonly warnings: readonly IdentityWarning[] }> {
    const { pair, warnings } = await loadOwnCertificate(options);
    return { certificate: new OwnCertificate(options, pair), warnings };
  }

  /** For new TLS sessions. */
  get current(): TlsMaterial {
    return materialOf(this.#pair);
  }

  /** Sets the one that hears of changes. */
  watch(watcher: CertificateWatcher): void {
    this.#watcher = watcher;
  }

  /**
   * Reads the files again and makes the certificate anew where a start would; the watcher hears of a change before this
   * resolves. Where nothing can be saved the present certificate stays. Calls run one after the other, and those that come
   * while one waits share it.
   * @throws {SallyportError} ERR_DENIED KEY_PERMISSIONS; the present certificate stays
   */
  reload(): Promise<void> {
    this.#waiting ??= this.#running.then(() => {
      this.#waiting = undefined;
      const running = this.#reload();
      this.#running = running.catch(() => undefined);
      return running;
    });
    return this.#waiting;
  }

  async #reload(): Promise<void> {
    const { pair, saved, warnings } = await loadOwnCertificate(this.#options);
    for (const warning of warnings) this.#watcher?.warned(warning);
    if (!saved || pair.fingerprint === this.#pair.fingerprint) return;
    this.#pair = pair;
    this.#watcher?.replaced(this.current);
  }
}

/** A pair as the TLS carrier takes it. Without anchors no chain is trusted: peers are known by key alone. */
export function materialOf({ certPem, keyPem }: CertificatePair): TlsMaterial {
  return { certPem, keyPem, passphrase: undefined, caPem: undefined };
}
