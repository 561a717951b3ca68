import { MAX_CHAIN_DEPTH } from "../carrier/tls-protocol.ts";
import {
  readCiphers,
  readFlag,
  readGroups,
  readInteger,
  readSchemes,
  readText,
  readVersions,
  type SslOption,
  wrongValue,
} from "./ssl-dist-values.ts";

/** The part of a node that an option is for: `server` accepts, `client` dials. */
export type TlsSideName = "server" | "client";

/** A key of `tls` that an option sets. */
export interface TlsSetting {
  readonly key: string;
  readonly value: unknown;
  readonly secret?: boolean;
}

/** What an option of one side sets. */
type ReadOption = (option: SslOption, side: TlsSideName) => readonly TlsSetting[];

/** What becomes of an option. */
export type OptionRow =
  /** It sets keys of `tls`; none when it asks for what always happens. */
  | { readonly kind: "effect"; readonly side?: "server"; readonly read: ReadOption }
  /** It is taken and changes nothing; `why` says so to the operator. `values`: the atoms it may be. */
  | { readonly kind: "no-effect"; readonly why: string; readonly values?: readonly string[] }
  /** It cannot be done, and leaving it out would change what the file means. */
  | { readonly kind: "refused"; readonly hint: string };

const NO_RENEGOTIATION = "a connection is never renegotiated";
const TICKETS = "tickets of TLS 1.3 go by reuse_sessions, as session ids and tickets of TLS 1.2 do";
const NO_EARLY_DATA = "nothing is ever sent or taken before the handshake is over";
const WELL_KNOWN_GROUPS = "well-known groups are used";
const VM_ONLY = "a setting of the Erlang VM";
const NEVER_ASKED = "nothing here asks for it";
const FLAG: readonly string[] = ["true", "false"];
const CODE = "code cannot be run here";

/** The options of Erlang's `ssl` application, releases 25 to 28, as far as a distribution could have them. */
export const SSL_OPTIONS: Readonly<Record<string, OptionRow>> = {
  cacertfile: file("caFile"),
  certfile: file("certFile"),
  keyfile: file("keyFile"),
  certs_keys: { kind: "effect", read: readCertsKeys },
  password: {
    kind: "effect",
    read: (option) => [{ key: "passphrase", value: readText(option).text, secret: true }],
  },
  verify: { kind: "effect", read: readVerify },
  fail_if_no_peer_cert: { kind: "effect", side: "server", read: readRequired },
  depth: { kind: "effect", read: (option) => [{ key: "depth", value: readInteger(option, 0, MAX_CHAIN_DEPTH) }] },
  versions: {
    kind: "effect",
    read: (option) => {
      const { min, max } = readVersions(option);
      return [
        { key: "minVersion", value: min },
        { key: "maxVersion", value: max },
      ];
    },
  },
  ciphers: { kind: "effect", read: (option) => [{ key: "ciphers", value: readCiphers(option) }] },
  eccs: { kind: "effect", read: (option) => [{ key: "groups", value: readGroups(option) }] },
  supported_groups: { kind: "effect", read: (option) => [{ key: "groups", value: readGroups(option) }] },
  signature_algs: { kind: "effect", read: (option) => [{ key: "signatureAlgorithms", value: readSchemes(option) }] },
  honor_cipher_order: {
    kind: "effect",
    side: "server",
    read: (option) => [{ key: "honorCipherOrder", value: readFlag(option) }],
  },
  reuse_sessions: { kind: "effect", read: readReuse },
  crl_check: onlyFalse("revocation lists are not read: revoke with `sallyport trust revoke`, or change the CA"),
  stapling: onlyFalse("OCSP is not asked: revoke with `sallyport trust revoke`, or change the CA", "no_staple"),
  ocsp_stapling: onlyFalse("OCSP is not asked: revoke with `sallyport trust revoke`, or change the CA"),
  allow_any_ca_purpose: onlyFalse("certificates must be issued for their use"),
  keep_secrets: onlyFalse("secrets of a session are never kept"),
  protocol: { kind: "effect", read: readProtocol },

  secure_renegotiate: noEffect(NO_RENEGOTIATION, FLAG),
  client_renegotiation: noEffect(NO_RENEGOTIATION, FLAG),
  renegotiate_at: noEffect(NO_RENEGOTIATION),
  session_tickets: noEffect(TICKETS),
  early_data: noEffect(NO_EARLY_DATA),
  anti_replay: noEffect(NO_EARLY_DATA),
  use_ticket: noEffect(TICKETS),
  server_name_indication: noEffect(
    "the host part of the dialled name is sent, and the certificate's names are compared",
  ),
  honor_ecc_order: noEffect("honor_cipher_order is for both", FLAG),
  signature_algs_cert: noEffect("signature_algs is for both"),
  dhfile: noEffect(WELL_KNOWN_GROUPS),
  dh: noEffect(WELL_KNOWN_GROUPS),
  crl_cache: noEffect("revocation lists are not read"),
  cert_policy_opts: noEffect("certificate policies are not compared"),
  certificate_authorities: noEffect("the list of CAs is always sent"),
  middlebox_comp_mode: noEffect("always on"),
  padding_check: noEffect("always on"),
  beast_mitigation: noEffect("for versions that are not spoken"),
  fallback: noEffect("for versions that are not spoken"),
  max_fragment_length: noEffect(NEVER_ASKED),
  max_handshake_size: noEffect("a limit of OpenSSL counts"),
  alpn_advertised_protocols: noEffect("the protocols of a node are its own"),
  alpn_preferred_protocols: noEffect("the protocols of a node are its own"),
  next_protocols_advertised: noEffect("the protocols of a node are its own"),
  use_srtp: noEffect(NEVER_ASKED),
  ocsp_nonce: noEffect("OCSP is not asked"),
  ocsp_responder_certs: noEffect("OCSP is not asked"),
  verify_opts: { kind: "effect", read: readDebug },
  log_level: { kind: "effect", read: readDebug },
  log_alert: noEffect("see the events of `sallyport start`"),
  ktls: noEffect("bytes on the wire are the same", FLAG),
  hibernate_after: noEffect(VM_ONLY),
  handshake: noEffect(VM_ONLY),
  receiver_spawn_opts: noEffect(VM_ONLY),
  sender_spawn_opts: noEffect(VM_ONLY),
  spawn_opts: noEffect(VM_ONLY),
  nodelay: noEffect(VM_ONLY),
  packet: noEffect(VM_ONLY),
  packet_size: noEffect(VM_ONLY),
  active: noEffect(VM_ONLY),
  mode: noEffect(VM_ONLY),
  header: noEffect(VM_ONLY),
  keepalive: noEffect(VM_ONLY),
  buffer: noEffect(VM_ONLY),
  sndbuf: noEffect(VM_ONLY),
  recbuf: noEffect(VM_ONLY),
  high_watermark: noEffect(VM_ONLY),
  low_watermark: noEffect(VM_ONLY),
  reuseaddr: noEffect(VM_ONLY),
  backlog: noEffect(VM_ONLY),

  verify_fun: refused(`${CODE}; names are always compared with the certificate, and a policy says what a peer may do`),
  customize_hostname_check: refused(
    `${CODE}; the name of a node is compared with URI, DNS and IP names of the certificate`,
  ),
  partial_chain: refused(`${CODE}; put the roots into cacertfile`),
  sni_fun: refused(`${CODE}; a node has one certificate`),
  user_lookup_fun: refused(`${CODE}; peers prove themselves with certificates`),
  client_preferred_next_protocols: refused(`${CODE}; leave it out`),
  cb_info: refused(`${CODE}; leave it out`),
  reuse_session: refused(`${CODE}; reuse_sessions says whether sessions are resumed`),
  sni_hosts: refused("a node has one certificate; start a second node for a second name"),
  cert: refused("name a file with certfile"),
  key: refused("name a file with keyfile"),
  cacerts: refused("name a file with cacertfile"),
  psk_identity: refused("peers prove themselves with certificates"),
  srp_identity: refused("peers prove themselves with certificates"),
};

export const SSL_OPTION_NAMES: readonly string[] = Object.keys(SSL_OPTIONS);

function file(key: string): OptionRow {
  return {
    kind: "effect",
    read: (option) => {
      const { text, fromFile } = readText(option);
      return [{ key, value: option.text.path(text), secret: fromFile }];
    },
  };
}

function noEffect(why: string, values?: readonly string[]): OptionRow {
  return { kind: "no-effect", why, ...(values === undefined ? {} : { values }) };
}

function refused(hint: string): OptionRow {
  return { kind: "refused", hint };
}

/** An option that may ask for what always happens, and for nothing else. */
function onlyFalse(hint: string, off = "false"): OptionRow {
  return {
    kind: "effect",
    read(option) {
      const { name, value, text } = option;
      if (value.kind === "atom" && (value.name === off || value.name === "false")) return [];
      const message = `${name} is not supported: ${hint}`;
      throw text.fault("CONF_OPTION_UNSUPPORTED", value.at, message, `take ${name} out, or set it to ${off}`);
    },
  };
}

function readVerify(option: SslOption): readonly TlsSetting[] {
  const { value, text } = option;
  if (value.kind === "atom" && value.name === "verify_peer") return [];
  if (value.kind === "atom" && value.name === "verify_none" && text.source.insecure === true) {
    text.noEffect("verify_none", "plain TCP is allowed, and certificates of TLS are checked all the same");
    return [];
  }
  if (value.kind === "atom" && value.name === "verify_none") {
    const message = "verify_none would let anybody pose as any node";
    throw text.fault("VERIFY_DISABLED", value.at, message, "write {verify, verify_peer} on both sides");
  }
  throw wrongValue(option, "verify_peer");
}

/** `{log_level, debug}`, and the guide's `verify_opts [log_level,debug]`, which is an option of no release. */
function readDebug({ name, value, text }: SslOption): readonly TlsSetting[] {
  const word = value.kind === "atom" ? value.name : "";
  const isAsked = name === "log_level" ? word === "debug" || word === "all" : /\bdebug\b/.test(word);
  if (isAsked) return [{ key: "debug", value: true }];
  text.noEffect(name, "only `debug` has a meaning here: it is tls.debug");
  return [];
}

function readRequired(option: SslOption): readonly TlsSetting[] {
  if (readFlag(option)) return [];
  const message = "fail_if_no_peer_cert is false: nodes without a certificate would be let in";
  const advice = "write {fail_if_no_peer_cert, true}, or leave it out: a certificate is always asked for here";
  throw option.text.fault("CLIENT_CERT_OPTIONAL", option.value.at, message, advice);
}

/** `save`: Erlang's client keeps sessions for connections that name one, and resumes none by itself. Nothing here names one. */
function readReuse(option: SslOption, side: TlsSideName): readonly TlsSetting[] {
  const { value } = option;
  const isSave = value.kind === "atom" && value.name === "save";
  if (!isSave && !(value.kind === "atom" && FLAG.includes(value.name)))
    throw wrongValue(option, "true or false or save");
  return [{ key: "reuseSessions", value: isSave ? side === "server" : readFlag(option) }];
}

function readProtocol(option: SslOption): readonly TlsSetting[] {
  if (option.value.kind === "atom" && option.value.name === "tls") return [];
  throw wrongValue(option, "tls");
}

/** One certificate with its key, as of OTP 25. */
function readCertsKeys(option: SslOption, side: TlsSideName): readonly TlsSetting[] {
  const { value, text } = option;
  const [pair, second] = value.kind === "list" ? value.items : [];
  if (pair?.kind !== "map") throw wrongValue(option, 'a list with one #{certfile => "...", keyfile => "..."}');
  if (second !== undefined) {
    const message = "certs_keys has several certificates, and a node has one";
    throw text.fault("CONF_OPTION_UNSUPPORTED", second.at, message, "leave the one that names this node");
  }
  return pair.entries.flatMap(([key, part]) => {
    const name = key.kind === "atom" ? key.name : "";
    const row = name === "certfile" || name === "keyfile" || name === "password" ? SSL_OPTIONS[name] : undefined;
    if (row?.kind === "effect") return row.read({ name: `certs_keys ${name}`, at: key.at, value: part, text }, side);
    throw text.fault("CONF_OPTION_UNKNOWN", key.at, "certs_keys takes certfile, keyfile and password", "correct it");
  });
}
