// Makes a CA and certificates for the given nodes in a temporary folder, and removes them afterwards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testAuthority } from "sallyport/testkit";

export async function withCertificates(names, run) {
  const dir = mkdtempSync(join(tmpdir(), "sallyport-example-"));
  try {
    const authority = await testAuthority(dir);
    const tls = {};
    for (const name of names) {
      const { certFile, keyFile } = await authority.issue(name);
      tls[name] = { certFile, keyFile, caFile: authority.caFile };
    }
    await run({ tls });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
