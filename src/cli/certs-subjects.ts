import { basename } from "node:path";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { type NodeName, tryNodeName } from "../base/node-name.ts";
import { DEFAULT_CHAIN_DEPTH, type TlsVersion } from "../carrier/tls-protocol.ts";
import { type Finding, faultOf } from "../certs/lint/finding.ts";
import type { TlsSetup } from "../certs/lint/lint-setup.ts";
import { withErlangFiles } from "../config/node-settings.ts";
import { quotePath } from "../identity/key-layout.ts";
import type { NamedByVmArgs, NodeOptions, TlsOption, TlsSideOption } from "../node/options.ts";
import type { CommandWorld } from "./command-world.ts";
import { findConfig } from "./settings.ts";

/** What a path names: a folder of certificates, or a file that says how nodes do TLS. */
export interface Subject {
  readonly path: string;
  readonly folder?: string;
  readonly setups: readonly TlsSetup[];
  /** What reading the file found already. */
  readonly found: readonly Finding[];
  readonly strict: boolean;
}

/** Stands for the name of a node where a file gives none. */
const NAMELESS = "nonode@nohost";

const VERSIONS: readonly TlsVersion[] = ["TLSv1.2", "TLSv1.3"];

/**
 * What a path of the command line names: a directory is a folder of certificates, `*.json` and `*.jsonc` a configuration,
 * `*.args` a vm.args, every other file an ssl_dist.conf.
 * @throws {SallyportError} ERR_CONFIG CHECK_UNREADABLE, and as `findConfig`
 */
export function subjectAt(path: string, world: CommandWorld): Subject {
  if (world.files.facts(mustExist(path, world))?.kind === "directory") return folderSubject(path, world, false);
  if (/\.jsonc?$/.test(path)) return configSubject(path, world);
  const option = { file: path, environment: world.environment };
  const options = path.endsWith(".args") ? { vmArgs: option } : { name: NAMELESS, sslDistOptfile: option };
  return { ...fileSubject(path, options, world), strict: false };
}

/** A folder of certificates. @throws {SallyportError} ERR_CONFIG CHECK_UNREADABLE */
export function folderSubject(path: string, world: CommandWorld, strict: boolean): Subject {
  return { path, folder: mustExist(path, world), setups: [], found: [], strict };
}

/** A configuration file, as the node would do TLS by it. @throws as `findConfig` */
export function configSubject(path: string, world: CommandWorld): Subject {
  const { tls, name, profile, sslDistOptfile, vmArgs } = findConfig({ config: path }, world)?.options ?? {};
  const { environment } = world;
  const common = {
    ...(tls === undefined ? {} : { tls }),
    ...(sslDistOptfile === undefined ? {} : { sslDistOptfile: { file: sslDistOptfile, environment } }),
  };
  const options =
    vmArgs === undefined
      ? { ...common, name: name ?? NAMELESS }
      : { ...common, ...(name === undefined ? {} : { name }), vmArgs: { file: vmArgs, environment } };
  return { ...fileSubject(path, options, world), strict: profile === "strict" };
}

/** What a file says, with what those of Erlang's that it names say. */
function fileSubject(
  path: string,
  options: NodeOptions | NamedByVmArgs,
  { files, directory, hostname }: CommandWorld,
): Omit<Subject, "strict"> {
  const faults: SallyportError[] = [];
  const found = (): readonly Finding[] => faults.map((error) => faultOf(error, path));
  try {
    const { tls, name } = withErlangFiles(options, { files, directory, hostname, faults }, []);
    const node = name === NAMELESS ? undefined : tryNodeName(name);
    return { path, setups: tls === undefined ? [] : setupsOf(tls, path, node, files), found: found() };
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    // A name with a fault in it is no missing name.
    if (faults.length === 0 || error.reason !== "NAME_MISSING") faults.push(error);
    return { path, setups: [], found: found() };
  }
}

/** How a node does TLS, by side; `file` says where it stands. */
export function setupsOf(
  { server, client, ...common }: TlsOption,
  file: string,
  name: NodeName | undefined,
  files: CommandWorld["files"],
): readonly TlsSetup[] {
  const where = name ?? quotePath(basename(file));
  const setup = (role: TlsSetup["role"], side: TlsSideOption): readonly TlsSetup[] => {
    const whole: Partial<TlsOption> = { ...common, ...side };
    const { minVersion = "TLSv1.2", maxVersion = "TLSv1.3", certFile, keyFile, caFile } = whole;
    // What is missing was found already.
    if (certFile === undefined || keyFile === undefined) return [];
    const one: TlsSetup = {
      file,
      where: role === "both" ? where : `${where} as ${role}`,
      role,
      name,
      certFile,
      keyFile,
      caFile,
      passphrase: passphraseOf(side.passphrase ?? common.passphrase, files),
      // A node always checks the other side, and always asks for its certificate; a file that says otherwise is refused.
      verifyPeer: true,
      demandsCertificate: true,
      versions: VERSIONS.filter((version) => version >= minVersion && version <= maxVersion),
      ciphers: side.ciphers ?? common.ciphers,
      depth: side.depth ?? common.depth ?? DEFAULT_CHAIN_DEPTH,
    };
    return [one];
  };
  if (server === undefined && client === undefined) return setup("both", {});
  return [...setup("server", server ?? {}), ...setup("client", client ?? {})];
}

function passphraseOf(source: TlsSideOption["passphrase"], files: CommandWorld["files"]): string | undefined {
  if (typeof source !== "object") return source;
  try {
    return files.readText(source.file).replace(/\r?\n$/, "");
  } catch {
    // The key then cannot be opened, and that is what is found.
    return undefined;
  }
}

function mustExist(path: string, world: CommandWorld): string {
  if (world.files.exists(path)) return path;
  throw new SallyportError("ERR_CONFIG", "CHECK_UNREADABLE", `${quotePath(path)} does not exist`, {
    stage: "tls",
    advice: "name a folder of certificates, a sallyport.jsonc, a vm.args or an ssl_dist.conf, or the folder with --dir",
  });
}
