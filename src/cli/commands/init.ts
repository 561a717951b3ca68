import { join, relative, resolve } from "node:path";
import { SallyportError, systemCode } from "../../base/errors.ts";
import { DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "../../base/files.ts";
import { type NodeName, parseNodeName } from "../../base/node-name.ts";
import { readPolicyFile } from "../../config/parse-policy.ts";
import { NODE_KEY_FILE, NODE_PUB_FILE } from "../../identity/key-layout.ts";
import { NodeKey } from "../../identity/node-key.ts";
import { KEY_BYTES } from "../../identity/public-key.ts";
import { createAuthority, issueNodeCertificate } from "../../x509/issue.ts";
import type { InitFlags } from "../command-options.ts";
import type { CommandWorld } from "../command-world.ts";
import { exampleConfig, exampleServices } from "../init-files.ts";
import { entryFor, entryOverQuic, type InitPeer, initPeers, peersUnfit } from "../init-peers.ts";
import { examplePolicy } from "../init-policy.ts";
import { reportResult } from "../report.ts";
import { CLI_CERT, CLI_KEY, CONFIG_FILE, POLICY_FILE } from "../settings.ts";
import { printable } from "../terminal.ts";

/** The certificate of this command line names its host only: each command takes a name of its own on it. */
const CLI_NAME = "cli@127.0.0.1";

/** Days until the certificates end. */
const AUTHORITY_DAYS = 3_650;
const CERTIFICATE_DAYS = 365;

/** Octets of randomness in the cookie. */
const COOKIE_BYTES = 32;

interface NewFile {
  /** Relative to the directory. */
  readonly path: string;
  readonly mode: number;
  readonly text: string | Uint8Array;
  readonly says: string;
}

/**
 * `init [DIR]`: writes a node that starts safely.
 * @throws {SallyportError} ERR_CONFIG INIT_EXISTS when one of the files is there already (nothing is written then), INIT_FAILED,
 * INIT_PEER, and as `initPeers`
 */
export async function init(world: CommandWorld, flags: InitFlags, directory: string | undefined): Promise<void> {
  const name = parseNodeName(flags.name);
  const root = resolve(world.directory, directory ?? ".");
  const peers = initPeers(world, flags.peer ?? []);
  const policy = examplePolicy(name, peers);
  // What cannot stand in it, such as this node itself: better said now than at the start, and without lines of no file.
  const reading = readPolicyFile(policy, { file: POLICY_FILE });
  if (!reading.ok) throw peersUnfit(reading.problems[0]?.message ?? "it would not be well-formed");
  const { files, fingerprint } = await makeFiles(world, name, policy);
  for (const { path } of files) {
    if (world.files.exists(join(root, path))) throw alreadyThere(join(root, path));
  }
  write(world, root, files);
  const from = relative(world.directory, root);
  const shown = from === "" ? "." : from.startsWith("..") ? root : from;
  report(world, { name, fingerprint, directory: shown, peers, files });
}

async function makeFiles(
  world: CommandWorld,
  name: NodeName,
  policy: string,
): Promise<{ readonly files: readonly NewFile[]; readonly fingerprint: string }> {
  const authority = await createAuthority(world, { commonName: `CA of ${name}`.slice(0, 64), days: AUTHORITY_DAYS });
  const own = await issueNodeCertificate(world, authority, { name, days: CERTIFICATE_DAYS });
  const cli = await issueNodeCertificate(world, authority, {
    name: parseNodeName(CLI_NAME),
    days: CERTIFICATE_DAYS,
    hostOnly: true,
  });
  const cookie = world.random.bytes(COOKIE_BYTES).toString("hex");
  const seed = world.random.bytes(KEY_BYTES);
  const identity = new NodeKey(seed, world.identityCrypto);
  identity.destroy();
  const files: readonly NewFile[] = [
    { path: CONFIG_FILE, mode: PUBLIC_MODE, text: exampleConfig(name), says: "configuration, with comments" },
    {
      path: POLICY_FILE,
      mode: PUBLIC_MODE,
      text: policy,
      says: "who may connect, and do what",
    },
    { path: "services.mjs", mode: PUBLIC_MODE, text: exampleServices(), says: "an example service" },
    { path: "cookie", mode: SECRET_MODE, text: `${cookie}\n`, says: "shared secret of your nodes" },
    {
      path: "data/tls/ca.crt",
      mode: PUBLIC_MODE,
      text: authority.certPem,
      says: "certificate authority: give it to your other nodes",
    },
    {
      path: "data/tls/ca.key",
      mode: SECRET_MODE,
      text: authority.keyPem,
      says: "its key: keep it; it makes certificates for other nodes",
    },
    { path: "data/tls/node.crt", mode: PUBLIC_MODE, text: own.certPem, says: `certificate of ${name}, for a year` },
    { path: "data/tls/node.key", mode: SECRET_MODE, text: own.keyPem, says: "its key" },
    {
      path: `data/tls/${CLI_CERT}`,
      mode: PUBLIC_MODE,
      text: cli.certPem,
      says: "certificate for this command line",
    },
    { path: `data/tls/${CLI_KEY}`, mode: SECRET_MODE, text: cli.keyPem, says: "its key" },
    {
      path: `data/keys/${NODE_KEY_FILE}`,
      mode: SECRET_MODE,
      text: seed,
      says: "identity of the node: keep it, copy it nowhere",
    },
    { path: `data/keys/${NODE_PUB_FILE}`, mode: PUBLIC_MODE, text: identity.publicKey, says: identity.fingerprint },
  ];
  return { files, fingerprint: identity.fingerprint };
}

function write(world: CommandWorld, root: string, files: readonly NewFile[]): void {
  let path = root;
  try {
    world.files.makeDirectory(root, 0o755);
    for (const directory of ["data", "data/tls", "data/keys"]) {
      path = join(root, directory);
      world.files.makeDirectory(path, DIRECTORY_MODE);
    }
    for (const file of files) {
      path = join(root, file.path);
      world.files.writeNew(path, file.text, file.mode);
    }
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "EEXIST") throw alreadyThere(path);
    throw new SallyportError("ERR_CONFIG", "INIT_FAILED", `cannot write ${path} (${code})`, {
      advice: "choose a directory that you may write to",
      cause,
    });
  }
}

function alreadyThere(path: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "INIT_EXISTS", `${path} exists already, and init overwrites nothing`, {
    advice: "choose another directory, or move the file away",
  });
}

interface Made {
  readonly name: NodeName;
  readonly fingerprint: string;
  readonly directory: string;
  readonly peers: readonly InitPeer[];
  readonly files: readonly NewFile[];
}

function report(world: CommandWorld, { name, fingerprint, directory, peers, files }: Made): void {
  const { bold, dim } = world.terminal.colours;
  const width = Math.max(...files.map(({ path }) => path.length));
  const shown = printable(directory);
  const lines = [
    `Wrote into ${shown}:`,
    ...files.map(({ path, says }) => `  ${path.padEnd(width)}  ${dim(says)}`),
    "",
    peers.length === 0
      ? `No other node may connect yet; name those that may in ${POLICY_FILE}. In theirs this one is:`
      : `May connect: ${peers.map((peer) => peer.name).join(", ")}. In the policy of other nodes this one is:`,
    `  ${entryFor(name, fingerprint)}`,
    "That does not let it in where it dials over QUIC (quic://): there its key does not count, and the cookie has to do:",
    `  ${entryOverQuic(name)}`,
    "",
    "Next:",
    `  ${bold(`${directory === "." ? "" : `cd ${quoteForShell(shown)} && `}sallyport start --services services.mjs`)}`,
    "and in a second terminal, in the same directory:",
    `  ${bold(`sallyport call ${name} greeter '{hello, "Ada"}'`)}`,
  ];
  const result = { name, fingerprint, directory, peers, files: files.map(({ path }) => path) };
  reportResult(world.terminal, result, lines.join("\n"));
}

function quoteForShell(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
