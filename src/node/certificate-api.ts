/** What came of an attempt to take the certificate files anew. */
export interface CertificateReloadResult {
  readonly ok: boolean;
  /** In use now for new connections. */
  readonly generation: number;
  /** Reason and message of the error because of which the old files count on. */
  readonly reason?: string;
  readonly message?: string;
}

/** The certificate files of option `tls` (docs/certificates.md). */
export interface NodeCertificate {
  /** Goes up by one with each set of files that differs and is taken; the first is 1. */
  readonly generation: number;
  /** End of the node's own certificate, Unix milliseconds. */
  readonly notAfterMs: number;
  /**
   * Reads certificate, key and CA anew for connections that begin later, which is also done by itself within a second of a
   * change. Files that cannot be used leave the old ones in use.
   */
  reload(): CertificateReloadResult;
}
