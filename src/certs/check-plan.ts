import { SallyportError } from "../base/errors.ts";
import type { FolderTexts } from "./folder-view.ts";
import { CA_KEY } from "./layout.ts";
import { readIssuer, readLeaf, readRoots } from "./read-folder.ts";

/**
 * What holds after every change: a certificate that its node could use before still chains to a root in `ca.crt` and still has
 * its key, and `ca.key` still belongs to one of the roots.
 * @throws {SallyportError} ERR_CONFIG CERTS_CUT_OFF
 */
export function checkPlan(before: FolderTexts, after: FolderTexts, nowMs: number): void {
  if (!isIssuing(after) && after.read(CA_KEY) !== undefined && isIssuing(before)) throw cutOff("the CA itself");
  const broken = after.stems.filter((stem) => isUsable(before, stem, nowMs) && !isUsable(after, stem, nowMs));
  const [first] = broken;
  if (first === undefined) return;
  throw cutOff(broken.length === 1 ? first : `${first} and ${broken.length - 1} more`);
}

function isIssuing(texts: FolderTexts): boolean {
  try {
    readIssuer(texts);
    return true;
  } catch {
    return false;
  }
}

function isUsable(texts: FolderTexts, stem: string, nowMs: number): boolean {
  try {
    const leaf = readLeaf(texts, stem, readRoots(texts));
    return leaf?.chain?.ok === true && leaf.key !== "differs" && leaf.notAfterMs > nowMs;
  } catch {
    return false;
  }
}

function cutOff(what: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "CERTS_CUT_OFF", `nothing was written: it would make ${what} useless`, {
    stage: "tls",
    advice: "look at the folder with sallyport certs check; renew the certificate first, or name another backup",
  });
}
