import { SallyportError } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import { type LoadedTlsMaterial, loadTlsMaterial, type TlsFiles } from "../carrier/tls-material.ts";
import { effectiveVersions, MAX_CHAIN_DEPTH, type TlsProtocolOptions } from "../carrier/tls-protocol.ts";
import type { SecretSource, TlsOption, TlsSideOption } from "./options.ts";

/** One side of TLS: certificates and what is agreed to. */
export interface TlsSide {
  readonly loaded: LoadedTlsMaterial;
  readonly protocol: TlsProtocolOptions;
}

/** How a node accepts, and how it dials. */
export interface TlsSides {
  readonly server: TlsSide;
  readonly client: TlsSide;
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * Reads certificates and keys of both sides, from disk once where they are the same.
 * @throws {SallyportError} ERR_CONFIG TLS_OPTIONS, KEY_PASSPHRASE, and what `loadTlsMaterial` throws
 */
export function loadTlsSides(files: Files, tls: TlsOption, wallMs: number): TlsSides {
  const { server: _server, client: _client, debug: _debug, ...common } = tls;
  const server = { ...common, ...tls.server };
  const client = { ...common, ...tls.client };
  const serverPaths = pathsOf(files, server);
  const clientPaths = pathsOf(files, client);
  const loaded = loadTlsMaterial(files, serverPaths, wallMs);
  const isSame = JSON.stringify(serverPaths) === JSON.stringify(clientPaths);
  return {
    server: { loaded, protocol: protocolOf(server) },
    client: { loaded: isSame ? loaded : loadTlsMaterial(files, clientPaths, wallMs), protocol: protocolOf(client) },
    warnings: [...narrowed("server", server), ...narrowed("client", client)],
  };
}

type Side = TlsSideOption & Pick<TlsOption, "certFile" | "keyFile" | "caFile">;

function pathsOf(files: Files, { certFile, keyFile, caFile, passphrase }: Side): TlsFiles {
  const secret = passphrase === undefined ? undefined : readSecret(files, passphrase);
  return { certFile, keyFile, caFile, passphrase: secret };
}

function readSecret(files: Files, source: SecretSource): string {
  if (typeof source === "string") return source;
  try {
    return files.readText(source.file).replace(/\r?\n$/, "");
  } catch (cause) {
    const message = `cannot read the passphrase file ${source.file}`;
    const advice = "check the path and the permissions of the passphrase file";
    throw new SallyportError("ERR_CONFIG", "KEY_PASSPHRASE", message, { stage: "tls", advice, cause });
  }
}

function protocolOf(side: TlsSideOption): TlsProtocolOptions {
  const { certFile: _cert, keyFile: _key, caFile: _ca, passphrase: _secret, ...protocol } = side;
  const { depth } = protocol;
  if (depth !== undefined && !(Number.isInteger(depth) && depth >= 0 && depth <= MAX_CHAIN_DEPTH)) {
    const message = `tls.depth is no whole number from 0 to ${MAX_CHAIN_DEPTH}`;
    const advice = "leave it out for the default of 2";
    throw new SallyportError("ERR_CONFIG", "TLS_OPTIONS", message, { stage: "tls", advice });
  }
  return protocol;
}

/** A list of suites for one version takes the other away, which few expect. */
function narrowed(side: "server" | "client", options: TlsProtocolOptions): { reason: string; message: string }[] {
  const left = effectiveVersions(options);
  const asked = effectiveVersions({ ...options, ciphers: undefined });
  if (left === undefined || asked === undefined || (left.min === asked.min && left.max === asked.max)) return [];
  const gone = left.min === asked.min ? "TLSv1.3" : "TLSv1.2";
  const does = side === "server" ? "accepting" : "dialling";
  const message = `${gone} is allowed for ${does} and none of its suites is in ciphers: it is not spoken`;
  return [{ reason: "TLS_VERSION_WITHOUT_SUITES", message }];
}
