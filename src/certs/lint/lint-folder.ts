import { keyFileWarnings } from "../../carrier/tls-material.ts";
import { CLIENT_AUTH, readCertificateNames } from "../../x509/certificate-names.ts";
import { readPemCertificates } from "../../x509/check-key.ts";
import { type CertsWorld, FolderView } from "../folder-view.ts";
import { CA_CERT, CA_KEY, CA_NEXT, certFileOf, keyFileOf, PENDING_FILE } from "../layout.ts";
import { isPending } from "../pending.ts";
import { type Leaf, readIssuer, readLeaf, readRoots } from "../read-folder.ts";
import { rotationState } from "../rotate-ca.ts";
import { doubt, type Finding, fault, faultOf } from "./finding.ts";
import { lintCertificate } from "./lint-certificate.ts";
import { lintRoots } from "./lint-roots.ts";

/** Looks at a folder of certificates: the CA, every certificate of a node, and what is under way. */
export function lintFolder(
  directory: string,
  { files, clock }: Pick<CertsWorld, "files" | "clock">,
): readonly Finding[] {
  const nowMs = clock.wallMs();
  const view = new FolderView(files, directory);
  const path = (file: string): string => `${directory}/${file}`;
  const out: Finding[] = [];
  if (isPending(files, directory)) {
    const message = "a command was killed while it wrote";
    out.push(
      doubt("CHANGE_PENDING", path(PENDING_FILE), message, "run any command that writes, for example certs renew"),
    );
  }
  out.push(...lintAuthority(view, path, nowMs));
  for (const file of [CA_KEY, CA_NEXT, ...view.stems.map(keyFileOf)]) {
    if (!files.exists(path(file))) continue;
    for (const { reason, message } of keyFileWarnings(files, path(file))) {
      out.push(doubt(reason, path(file), message, "let only the owner have the key"));
    }
  }
  for (const stem of view.stems) out.push(...lintLeaf(view, stem, path, nowMs));
  const holder = view.stems.find((stem) => files.exists(path(keyFileOf(stem))));
  if (holder !== undefined && files.exists(path(CA_KEY))) {
    const message = `the key of the CA lies beside that of a node, ${keyFileOf(holder)}`;
    const advice =
      "keep the CA's key on another machine, or move the keys of nodes to their nodes: renewing needs none";
    out.push(doubt("CA_KEY_BESIDE", path(CA_KEY), message, advice));
  }
  return unique(out);
}

function lintAuthority(view: FolderView, path: (file: string) => string, nowMs: number): readonly Finding[] {
  const out: Finding[] = [];
  try {
    const pem = view.read(CA_CERT);
    if (pem !== undefined) out.push(...lintRoots(readPemCertificates(pem, CA_CERT), path(CA_CERT), nowMs));
  } catch (error) {
    return [faultOf(error, path(CA_CERT))];
  }
  if (view.read(CA_KEY) === undefined) return out;
  try {
    readIssuer(view);
    const { phase, next, issuer } = rotationState(view);
    if (phase !== "steady") {
      const message = `a rotation of the CA is under way; ${issuer} issues`;
      out.push(doubt("ROTATION_OPEN", path(CA_CERT), message, `go on with: sallyport certs rotate-ca ${next}`));
    }
  } catch (error) {
    out.push(faultOf(error, path(CA_KEY)));
  }
  return out;
}

function lintLeaf(view: FolderView, stem: string, path: (file: string) => string, nowMs: number): readonly Finding[] {
  const file = path(certFileOf(stem));
  let leaf: Leaf | undefined;
  let hasRoots = false;
  try {
    const roots = readRoots(view);
    hasRoots = roots.length > 0;
    leaf = readLeaf(view, stem, roots);
  } catch (error) {
    return [faultOf(error, file)];
  }
  if (leaf === undefined || leaf.certificate.ca) return [];
  const out = [...lintCertificate(leaf.certificate.raw, file, "node", nowMs)];
  if (leaf.key === "differs") {
    const message = `${keyFileOf(stem)} is not the key of the certificate`;
    out.push(
      fault("KEY_CERT_MISMATCH", path(keyFileOf(stem)), message, "sallyport certs rollback, or renew --new-key"),
    );
  }
  if (leaf.chain?.ok === true && isOfOtherKind(leaf)) {
    const message = "the CA has issued it, and it is for no node: whoever has it could be let in";
    out.push(doubt("CA_NOT_DEDICATED", file, message, "use a CA of its own for the nodes"));
  }
  if (leaf.chain?.ok === false && hasRoots) {
    const message = `no certificate in ${CA_CERT} has issued it`;
    out.push(fault("CERT_UNKNOWN_ISSUER", file, message, "put its CA into ca.crt, or move it away"));
  }
  return out;
}

/** A certificate of a web server, a person: no node's name in it, and not for dialling. */
function isOfOtherKind({ certificate }: Leaf): boolean {
  const { uris, keyUsages, commonNames } = readCertificateNames(certificate.raw);
  const namesNode = uris.some((uri) => uri.startsWith("dist://")) || commonNames.some((name) => name.includes("@"));
  return !namesNode && keyUsages !== undefined && !keyUsages.includes(CLIENT_AUTH);
}

function unique(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, file, message }) => {
    const key = `${code}\n${file}\n${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
