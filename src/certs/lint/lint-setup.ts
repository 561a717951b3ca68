import { dirname } from "node:path";
import { SallyportError } from "../../base/errors.ts";
import type { NodeName } from "../../base/node-name.ts";
import { isTls13Suite } from "../../carrier/cipher-suites.ts";
import { keyFileWarnings } from "../../carrier/tls-material.ts";
import type { TlsVersion } from "../../carrier/tls-protocol.ts";
import { readCertificateNames } from "../../x509/certificate-names.ts";
import { buildChain } from "../../x509/chain.ts";
import { checkKeyBelongs, readPemCertificates, readPemKey } from "../../x509/check-key.ts";
import { matchCertificate } from "../../x509/match-name.ts";
import { type CertsWorld, readFile } from "../folder-view.ts";
import { doubt, type Finding, fault, faultOf } from "./finding.ts";
import { lintCertificate } from "./lint-certificate.ts";
import { lintRoots } from "./lint-roots.ts";

/** How one side of a node does TLS, whatever file says it: what the linter looks at. */
export interface TlsSetup {
  /** File that says so, and the place in it: `sallyport.jsonc`, `ssl_dist.conf server`. */
  readonly file: string;
  readonly where: string;
  /** Which connections it is for. */
  readonly role: "server" | "client" | "both";
  readonly name?: NodeName | undefined;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly verifyPeer: boolean;
  /** Of a server: whether a client without certificate is refused. */
  readonly demandsCertificate: boolean;
  readonly versions: readonly TlsVersion[];
  /** Names of OpenSSL or IANA; undefined: the defaults of the platform. */
  readonly ciphers?: readonly string[] | undefined;
  /** Most intermediates between a certificate and its root. */
  readonly depth: number;
}

/** Looks at one setup and all files that it names. */
export function lintSetup(setup: TlsSetup, world: Pick<CertsWorld, "files" | "clock">): readonly Finding[] {
  return [...lintOptions(setup), ...lintFiles(setup, world)];
}

function lintOptions({
  file,
  where,
  role,
  verifyPeer,
  demandsCertificate,
  versions,
  ciphers,
}: TlsSetup): readonly Finding[] {
  const out: Finding[] = [];
  if (!verifyPeer) {
    out.push(fault("VERIFY_DISABLED", file, `${where} does not check the peer's certificate`, "use verify_peer"));
  } else if (role !== "client" && !demandsCertificate) {
    const advice = "set fail_if_no_peer_cert to true";
    out.push(fault("CLIENT_CERT_OPTIONAL", file, `${where} lets clients without certificate in`, advice));
  }
  for (const version of ciphers === undefined ? [] : versions) {
    if (ciphers?.some((cipher) => versionOf(cipher) === version) === true) continue;
    const advice = `add a suite of ${version}, or take the version out`;
    out.push(doubt("VERSION_WITHOUT_CIPHERS", file, `${where} allows ${version} and no suite of it`, advice));
  }
  return out;
}

/** The version that a suite is of. */
export function versionOf(cipher: string): TlsVersion {
  return isTls13Suite(cipher.toUpperCase()) ? "TLSv1.3" : "TLSv1.2";
}

function lintFiles(setup: TlsSetup, world: Pick<CertsWorld, "files" | "clock">): readonly Finding[] {
  const out: Finding[] = [];
  const nowMs = world.clock.wallMs();
  const certificates = readCertificates(setup.certFile, world, out);
  const roots = setup.caFile === undefined ? [] : readCertificates(setup.caFile, world, out);
  certificates.forEach((der, i) => {
    out.push(...lintCertificate(der, setup.certFile, i === 0 ? "node" : "intermediate", nowMs));
  });
  if (setup.caFile !== undefined) out.push(...lintRoots(roots, setup.caFile, nowMs));
  out.push(...lintKey(setup, certificates.length > 0, world));
  const [leaf] = certificates;
  if (leaf === undefined) return out;
  out.push(...lintName(setup, leaf));
  if (roots.length > 0) out.push(...lintChain(setup, certificates, roots));
  return out;
}

function readCertificates(path: string, { files }: Pick<CertsWorld, "files">, out: Finding[]): readonly Buffer[] {
  try {
    const text = readFile(files, path);
    if (text === undefined) throw missing(path);
    return readPemCertificates(text, path);
  } catch (error) {
    out.push(faultOf(error, path));
    return [];
  }
}

function lintKey(
  { keyFile, certFile, passphrase }: TlsSetup,
  hasCertificate: boolean,
  { files }: Pick<CertsWorld, "files">,
): readonly Finding[] {
  try {
    const text = readFile(files, keyFile);
    if (text === undefined) throw missing(keyFile);
    const names = { certName: certFile, keyName: keyFile };
    if (hasCertificate) checkKeyBelongs(readFile(files, certFile) ?? "", text, { passphrase, ...names });
    else readPemKey(text, passphrase, keyFile);
    return [
      ...keyFileWarnings(files, keyFile).map(({ reason, message }) =>
        doubt(reason, keyFile, message, "let only the owner have the key"),
      ),
      ...lintCaKeyBeside(keyFile, files),
    ];
  } catch (error) {
    return [faultOf(error, keyFile)];
  }
}

/** Whoever gets at the node's files must not get at the CA. */
function lintCaKeyBeside(keyFile: string, files: CertsWorld["files"]): readonly Finding[] {
  const directory = dirname(keyFile);
  const beside = ["ca.key", "ca-next.key"].map((name) => `${directory}/${name}`).filter((path) => path !== keyFile);
  const advice = "keep the CA's key on another machine, or at least in a folder that the node cannot read";
  return beside
    .filter((path) => files.exists(path))
    .map((path) => doubt("CA_KEY_BESIDE", path, "the key of the CA lies beside that of a node", advice));
}

function lintName({ name, certFile }: TlsSetup, leaf: Buffer): readonly Finding[] {
  if (name === undefined) return [];
  const match = matchCertificate(readCertificateNames(leaf), name, { profile: "standard" });
  if (match.matched) return [];
  const message = `the certificate is not for ${name}; it names ${match.presented.join(", ") || "nobody"}`;
  return [fault("CERT_NAME_MISMATCH", certFile, message, `issue one: sallyport certs issue ${name}`)];
}

function lintChain(
  { certFile, caFile = "", depth }: TlsSetup,
  certificates: readonly Buffer[],
  roots: readonly Buffer[],
): readonly Finding[] {
  const chain = buildChain(certificates, roots);
  if (chain === undefined) return [];
  if (!chain.ok) {
    const issuer = chain.last.issuer.split("\n").join(", ");
    const message = `no certificate in ${caFile} has issued it; its issuer is ${issuer}`;
    const advice = "put the issuer's intermediates behind the certificate, or the right CA into the CA file";
    return [fault("CERT_UNKNOWN_ISSUER", certFile, message, advice)];
  }
  const between = chain.intermediates.length;
  if (between <= depth) return [];
  const message = `${between} intermediates between the certificate and its root, more than depth ${depth}`;
  return [fault("CHAIN_TOO_LONG", certFile, message, "raise depth, or issue from a CA nearer to the root")];
}

/** A file that a setup names and that is not there. */
export function missing(path: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "CERT_FILE_MISSING", `${path} does not exist`, {
    stage: "tls",
    advice: "correct the path, or put the file there",
  });
}
