import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { ConfigWarning, ErlangSource } from "./erlang-text.ts";
import { parseSslDistConf, type SideSettings } from "./ssl-dist-conf.ts";
import { SSL_OPTIONS } from "./ssl-dist-options.ts";

const FIXTURES = new URL("../../test/fixtures/erlang-config/", import.meta.url);
const VARIABLES: Readonly<Record<string, string>> = { DIR: "/etc/certs", EMPTY: "" };
const SOURCE: ErlangSource = {
  file: "ssl_dist.conf",
  directory: "/work",
  variables: {
    environment: (name) => VARIABLES[name],
    file: (path) => (path === "/run/pw" ? { ok: true, text: "from file" } : { ok: false, what: "does not exist" }),
  },
};

const FILES = '{cacertfile, "/c/ca.crt"}, {certfile, "/c/n.crt"}, {keyfile, "/c/n.key"}';

/** A file whose server side has `options` too, which begin at line 1, column 86. */
function conf(options: string, client = ""): string {
  return `[{server, [${FILES}, ${options}]},\n {client, [${FILES}${client === "" ? "" : `, ${client}`}]}].`;
}

const AT = 86;

function read(text: string) {
  const warnings: ConfigWarning[] = [];
  const { server, client } = parseSslDistConf(text, SOURCE, warnings);
  return { server: plain(server), client: plain(client), warnings };
}

function plain(side: SideSettings): Record<string, unknown> {
  return Object.fromEntries([...side].map(([key, { value }]) => [key, value]));
}

function failure(text: string): SallyportError {
  try {
    read(text);
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("accepted");
}

const BASE = { caFile: "/c/ca.crt", certFile: "/c/n.crt", keyFile: "/c/n.key" };

describe("the samples of the TLS guide, letter by letter", () => {
  const load = (name: string) => read(readFileSync(new URL(`${name}/ssl_dist.conf`, FIXTURES), "utf8"));

  it("quick start", () => {
    const files = { caFile: "/path/to/ca.crt", certFile: "/path/to/node.crt", keyFile: "/path/to/node.key" };
    expect(load("quick-start")).toEqual({
      server: files,
      client: files,
      warnings: [{ reason: "CONF_NO_EFFECT", message: expect.stringContaining("secure_renegotiate (") }],
    });
  });

  it("production", () => {
    const dir = "/etc/distribute/certs";
    const side = {
      caFile: `${dir}/ca.crt`,
      certFile: `${dir}/node.crt`,
      keyFile: `${dir}/node.key`,
      depth: 2,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      reuseSessions: true,
    };
    const { server, client, warnings } = load("production");
    expect({ server, client }).toEqual({ server: side, client: side });
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^(?!.*reuse_sessions).*secure_renegotiate \(/),
    ]);
  });

  it("its lists of suites and versions", () => {
    const new_ = '"TLS_AES_256_GCM_SHA384",\n "TLS_AES_128_GCM_SHA256",\n "TLS_CHACHA20_POLY1305_SHA256"';
    const old =
      '"ECDHE-ECDSA-AES256-GCM-SHA384","ECDHE-RSA-AES256-GCM-SHA384","ECDHE-ECDSA-CHACHA20-POLY1305","ECDHE-RSA-CHACHA20-POLY1305"';
    expect(read(conf(`{ciphers, [${new_}]}`)).server["ciphers"]).toEqual(JSON.parse(`[${new_}]`));
    expect(read(conf(`{ciphers, [${old}]}`)).server["ciphers"]).toEqual(JSON.parse(`[${old}]`));
    expect(read(conf("{versions, ['tlsv1.3']}")).server).toMatchObject({
      minVersion: "TLSv1.3",
      maxVersion: "TLSv1.3",
    });
  });
});

describe("parseSslDistConf", () => {
  it.each([
    ['{password, "pw"}', { passphrase: "pw" }],
    ['{password, <<"pw">>}', { passphrase: "pw" }],
    ['{password, "${file:/run/pw}"}', { passphrase: "from file" }],
    ['{password, "p$w"}', { passphrase: "p$w" }],
    ["{verify, verify_peer}, {fail_if_no_peer_cert, true}", {}],
    ["{depth, 0}", { depth: 0 }],
    ["{versions, ['tlsv1.2']}", { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }],
    ["{versions, ['tlsv1.2', 'tlsv1.3']} % any order\n", { minVersion: "TLSv1.2", maxVersion: "TLSv1.3" }],
    [
      '{ciphers, "ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256"}',
      { ciphers: ["ECDHE-RSA-AES256-GCM-SHA384", "TLS_AES_128_GCM_SHA256"] },
    ],
    ['{ciphers, ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]}', { ciphers: ["ECDHE-RSA-AES256-GCM-SHA384"] }],
    [
      "{ciphers, [#{key_exchange => ecdhe_rsa, cipher => aes_256_gcm, mac => aead, prf => sha384}]}",
      { ciphers: ["ECDHE-RSA-AES256-GCM-SHA384"] },
    ],
    [
      "{ciphers, [#{key_exchange => any, cipher => chacha20_poly1305, mac => aead, prf => sha256}]}",
      { ciphers: ["TLS_CHACHA20_POLY1305_SHA256"] },
    ],
    [
      "{ciphers, [{ecdhe_ecdsa, aes_128_gcm, aead, sha256}, {ecdhe_rsa, aes_128_cbc, sha256}]}",
      { ciphers: ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256"] },
    ],
    ["{eccs, [secp256r1, secp384r1]}", { groups: ["secp256r1", "secp384r1"] }],
    ["{supported_groups, [x25519]}, {eccs, [secp256r1]}", { groups: ["x25519", "secp256r1"] }],
    [
      "{signature_algs, [ecdsa_secp256r1_sha256, eddsa_ed25519, {sha256, rsa}, {sha384, ecdsa}]}",
      { signatureAlgorithms: ["ecdsa_secp256r1_sha256", "ed25519", "rsa_pkcs1_sha256", "ecdsa_secp384r1_sha384"] },
    ],
    ["{honor_cipher_order, true}", { honorCipherOrder: true }],
    ["honor_cipher_order", { honorCipherOrder: true }],
    ["{reuse_sessions, true}", { reuseSessions: true }],
    ["{reuse_sessions, false}", { reuseSessions: false }],
    ["{crl_check, false}", {}],
    ["{stapling, no_staple}", {}],
    ["{depth, 1}, {depth, 1}", { depth: 1 }],
  ])("reads %s", (options, expected) => {
    expect(read(conf(options)).server).toEqual({ ...BASE, ...expected });
  });

  it("takes the pair of certs_keys, relative paths from the working directory, and variables", () => {
    const side = `[{cacertfile, "\${DIR}/ca.crt"}, {certs_keys, [#{certfile => "n.crt", keyfile => "../n.key", password => "p"}]}]`;
    expect(read(`[{server, ${side}}, {client, ${side}}].`).client).toEqual({
      caFile: "/etc/certs/ca.crt",
      certFile: "/work/n.crt",
      keyFile: "/n.key",
      passphrase: "p",
    });
  });

  it("takes save of a client for what it does in Erlang: no connection resumes by itself", () => {
    const { server, client } = read(conf("{reuse_sessions, save}", "{reuse_sessions, save}"));
    expect([server["reuseSessions"], client["reuseSessions"]]).toEqual([true, false]);
  });

  it("keeps the sides apart, and says what is for the other", () => {
    const { server, client, warnings } = read(
      conf("{depth, 1}", "{depth, 3}, {fail_if_no_peer_cert, true}, {honor_cipher_order, true}"),
    );
    expect([server["depth"], client["depth"]]).toEqual([1, 3]);
    expect(client).not.toHaveProperty("honorCipherOrder");
    expect(warnings).toEqual([
      { reason: "CONF_NO_EFFECT", message: expect.stringContaining("honor_cipher_order (it is for the server side)") },
    ]);
  });

  it("reads comments, blank lines, a byte order mark and any case of blanks", () => {
    const text = `\ufeff%% -*- erlang -*-\n[ % begin\n\t{client,[${FILES}]} ,\r\n\n{server,[${FILES}]}\n]\n.\n%% end`;
    expect(read(text).server).toEqual(BASE);
  });

  // Options begin at column AT of line 1; the name of the option stands behind one brace.
  it.each([
    ["{verfy, verify_peer}", "CONF_OPTION_UNKNOWN", AT + 1, 'did you mean "verify"?'],
    ["{zzz, 1}", "CONF_OPTION_UNKNOWN", AT + 1, 'no option "zzz"'],
    ["{verify, verify_none}", "VERIFY_DISABLED", AT + 9, "pose as any node"],
    ['{verify, "verify_peer"}', "CONF_VALUE", AT + 9, "verify is a text, expected verify_peer"],
    ["{fail_if_no_peer_cert, false}", "CLIENT_CERT_OPTIONAL", AT + 23, "without a certificate"],
    ["{fail_if_no_peer_cert, 1}", "CONF_VALUE", AT + 23, "is a number, expected true or false"],
    ["{depth, -1}", "CONF_VALUE", AT + 8, "from 0 to 16"],
    ["{depth, 17}", "CONF_VALUE", AT + 8, "from 0 to 16"],
    ["{depth, two}", "CONF_VALUE", AT + 8, "depth is an atom"],
    ["{certfile, node}", "CONF_VALUE", AT + 11, "certfile is an atom, expected a text"],
    ['{certfile, ""}', "CONF_VALUE", AT + 11, "certfile is empty"],
    ["{password, 5}", "CONF_VALUE", AT + 11, "password is a number"],
    ["{versions, ['tlsv1.4']}", "VERSION_UNKNOWN", AT + 12, "'tlsv1.3' and 'tlsv1.2'"],
    ["{versions, ['tlsv1.1']}", "VERSION_UNKNOWN", AT + 11, "has none"],
    ["{versions, []}", "CONF_VALUE", AT + 11, "a list of versions that is not empty"],
    ["{versions, 'tlsv1.3'}", "CONF_VALUE", AT + 11, "versions is an atom"],
    ["{versions, [tlsv1.3]}", "CONF_SYNTAX", AT + 17, "an atom with a dot needs quotes"],
    [
      '{ciphers, ["ECDHE-RSA-AES256-GCM-SHA385"]}',
      "CIPHER_UNKNOWN",
      AT + 11,
      'did you mean "ECDHE-RSA-AES256-GCM-SHA384"?',
    ],
    ['{ciphers, ["RC4-SHA"]}', "CIPHER_UNSUPPORTED", AT + 11, "broken"],
    ["{ciphers, [{rsa, aes_128_cbc, sha}]}", "CIPHER_UNSUPPORTED", AT + 11, "forward secrecy"],
    ["{ciphers, [{a}]}", "CIPHER_UNKNOWN", AT + 11, "does not exist"],
    ["{ciphers, []}", "CONF_VALUE", AT + 10, "not empty"],
    ["{ciphers, strong}", "CONF_VALUE", AT + 10, "ciphers is an atom"],
    ["{eccs, [sect163k1]}", "CONF_VALUE", AT + 7, "x25519"],
    ["{eccs, [nonsense]}", "CONF_VALUE", AT + 8, "x25519"],
    ["{signature_algs, [{md5, rsa}]}", "CONF_VALUE", AT + 17, "scheme that is in use"],
    ["{honor_cipher_order, yes}", "CONF_VALUE", AT + 21, "true or false"],
    ["{secure_renegotiate, maybe}", "CONF_VALUE", AT + 21, "true or false"],
    ["{reuse_sessions, 1}", "CONF_VALUE", AT + 17, "true or false or save"],
    ["{crl_check, peer}", "CONF_OPTION_UNSUPPORTED", AT + 12, "trust revoke"],
    ["{stapling, staple}", "CONF_OPTION_UNSUPPORTED", AT + 11, "OCSP"],
    ["{keep_secrets, true}", "CONF_OPTION_UNSUPPORTED", AT + 15, "never kept"],
    ["{sni_hosts, []}", "CONF_OPTION_UNSUPPORTED", AT + 1, "one certificate"],
    ["{certs_keys, [#{}, #{}]}", "CONF_OPTION_UNSUPPORTED", AT + 19, "several certificates"],
    ["{certs_keys, [#{cert => 1}]}", "CONF_OPTION_UNKNOWN", AT + 16, "certfile, keyfile and password"],
    [
      "{verify_fun, {fun inet_tls_dist:verify_client/3, []}}",
      "CONF_OPTION_UNSUPPORTED",
      AT + 14,
      "names are always compared",
    ],
    ["{verify_fun, {fun(_, _, S) -> {valid, S} end, []}}", "CONF_OPTION_UNSUPPORTED", AT + 14, "verify_fun holds code"],
    ["{verify_fun, {inet_tls_dist, verify_client, []}}", "CONF_OPTION_UNSUPPORTED", AT + 1, "code cannot be run"],
    [
      "{customize_hostname_check, [{match_fun, public_key:pkix_verify_hostname_match_fun(https)}]}",
      "CONF_OPTION_UNSUPPORTED",
      AT + 40,
      "customize_hostname_check holds code",
    ],
    ["{partial_chain, fun lists:last/1}", "CONF_OPTION_UNSUPPORTED", AT + 16, "put the roots into cacertfile"],
    ["{sni_fun, F}", "CONF_OPTION_UNSUPPORTED", AT + 10, "sni_fun holds code"],
    ["{cacerts, public_key:cacerts_get()}", "CONF_OPTION_UNSUPPORTED", AT + 10, "cacertfile"],
    ['{keyfile, "a" ++ "b"}', "CONF_OPTION_UNSUPPORTED", AT + 14, "keyfile holds code"],
    ['{keyfile, filename:join("a", "b")}', "CONF_OPTION_UNSUPPORTED", AT + 10, "write the value itself"],
    ["{keyfile, ${DIR}}", "CONF_SYNTAX", AT + 12, "outside of a text"],
    ['{password, "${UNSET}"}', "ENV_UNSET", AT + 11, "${UNSET}"],
    ['{password, "${EMPTY}"}', "ENV_UNSET", AT + 11, "${EMPTY}"],
    ['{password, "${UNSET"}', "CONF_VALUE", AT + 11, "begins no variable"],
    ['{password, "${file:/nowhere}"}', "VARIABLE_FILE", AT + 11, "does not exist"],
    ["{depth, 1}, {depth, 2}", "CONFIG_CONFLICT", AT + 20, "something else than ssl_dist.conf:1:94"],
    ["{depth}", "CONF_VALUE", AT, "a tuple stands where options must stand"],
    ["5", "CONF_VALUE", AT, "a number stands where options must stand"],
    ["{depth 1}", "CONF_SYNTAX", AT + 7, '"}" is missing'],
    ["{depth, }", "CONF_SYNTAX", AT + 8, "a term is missing"],
    ['{keyfile, "a}', "CONF_SYNTAX", undefined, ""],
    ["{a, <<1,2>>}", "CONF_SYNTAX", AT + 6, "a binary is written as text here"],
    [`${"[".repeat(50)}`, "CONF_SYNTAX", AT + 30, "nests deeper than 32"],
    ["{depth, 1;}", "CONF_SYNTAX", AT + 9, "this is no Erlang term"],
  ])("refuses %s as %s", (options, reason, column, says) => {
    const error = failure(conf(options));
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason });
    if (column !== undefined) expect(error.message).toContain(`ssl_dist.conf:1:${column}: `);
    expect(error.message).toContain(says);
    expect(error.advice).toMatch(/\w/);
  });

  it.each([
    ["", "CONF_SYNTAX", "1:1"],
    [`[{server, [${FILES}]}, {client, [${FILES}]}]`, "CONF_SYNTAX", "1:173"],
    [`[{server, [${FILES}]}, {client, [${FILES}]}]. []`, "CONF_SYNTAX", "1:175"],
    ["{server, []}.", "CONF_VALUE", "1:1"],
    ["[server].", "CONF_VALUE", "1:2"],
    ["[{server, true}].", "CONF_VALUE", "1:11"],
    [`[{servr, [${FILES}]}].`, "CONF_OPTION_UNKNOWN", "1:3"],
    [`[{server, [${FILES}]}].`, "CONF_SECTION_MISSING", "client"],
    [`[\n {client, [${FILES}]}].`, "CONF_SECTION_MISSING", "server"],
    [`[{server, []}, {client, [${FILES}]}].`, "CONF_OPTION_MISSING", "1:3: server lacks cacertfile"],
    [
      `[{server, [${FILES}]},\n{client, [{cacertfile, "c"}, {certfile, "n"}]}].`,
      "CONF_OPTION_MISSING",
      "2:2: client lacks keyfile",
    ],
  ])("refuses %s", (text, reason, says) => {
    const error = failure(text);
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason });
    expect(error.message).toContain(says);
  });

  it("leaves weak versions, groups and schemes out, and says so", () => {
    const { server, warnings } = read(
      conf(
        "{versions, ['tlsv1.3', 'tlsv1.1']}, {eccs, [x25519, secp192r1]}, {signature_algs, [{sha, rsa}, {sha256, rsa}]}",
      ),
    );
    expect(server).toMatchObject({
      minVersion: "TLSv1.3",
      groups: ["x25519"],
      signatureAlgorithms: ["rsa_pkcs1_sha256"],
    });
    expect(warnings.map(({ reason }) => reason)).toEqual(Array(3).fill("CONF_WEAK_LEFT_OUT"));
    expect(warnings[0]?.message).toContain("ssl_dist.conf:1:109: versions has tlsv1.1");
  });

  it("warns once of a pair of dollars, which erl does not read as one", () => {
    const { server, warnings } = read(conf('{password, "a$$b$$"}'));
    expect(server["passphrase"]).toBe("a$b$");
    expect(warnings.map(({ reason }) => reason)).toEqual(["DOLLAR_PAIR"]);
  });

  it("has a row of the table for each option, and a word for each without effect", () => {
    const quiet = Object.entries(SSL_OPTIONS).filter(([, row]) => row.kind === "no-effect");
    expect(quiet.length).toBeGreaterThan(40);
    for (const [name, row] of quiet) {
      const { warnings } = read(conf(`{${name}, true}`));
      expect(warnings[0]?.message, name).toContain(`${name} (${row.kind === "no-effect" ? row.why : ""})`);
    }
    for (const [name, row] of Object.entries(SSL_OPTIONS)) {
      if (row.kind === "refused") expect(failure(conf(`{${name}, x}`)).reason, name).toBe("CONF_OPTION_UNSUPPORTED");
    }
  });

  it("shows no more than 20 names in one warning", () => {
    const names = Object.keys(SSL_OPTIONS).filter((name) => SSL_OPTIONS[name]?.kind === "no-effect");
    const { warnings } = read(conf(names.map((name) => `{${name}, true}`).join(", ")));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toMatch(/ and \d+ more$/);
  });

  it("bounds the file", () => {
    const at = (chars: number): string => conf("{depth, 1}").padEnd(chars);
    expect(read(at(1_048_576)).server["depth"]).toBe(1);
    expect(failure(at(1_048_577))).toMatchObject({ code: "ERR_LIMIT", reason: "CONFIG_TOO_LARGE" });
  });
});

describe("a broken file", () => {
  const secret = "hunter2Secret";
  const good = conf(
    `{password, "${secret}"}, {ciphers, [#{key_exchange => any, cipher => a, mac => aead, prf => b}]}, {depth, 2}`,
  ).replace(
    ", {ciphers, [#{key_exchange => any, cipher => a, mac => aead, prf => b}]}",
    ", {ciphers, [#{key_exchange => any, cipher => aes_128_gcm, mac => aead, prf => sha256}]}, {eccs, [x25519]}",
  );

  /** Whatever the text, either it is read, or one typed error with a place says why not; without `expect`, which is slow. */
  function judge(text: string): void {
    let shown: string;
    try {
      shown = JSON.stringify(read(text).warnings);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      shown = JSON.stringify([error.message, error.advice, error.detail]);
      if (error.code !== "ERR_CONFIG" || !/ssl_dist\.conf:\d+:\d+: /.test(error.message)) throw error;
    }
    if (/hunter2|Secret/.test(shown)) throw new Error(`shows a secret: ${shown}`);
  }

  it("is one typed error with a place, for every cut of it", () => {
    for (let end = 0; end < good.length; end++) {
      expect(() => read(good.slice(0, end))).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
      judge(good.slice(0, end));
    }
  });

  it("is one typed error with a place, and no secret, for every character left out or put in", () => {
    for (let at = 0; at < good.length; at++) {
      judge(good.slice(0, at) + good.slice(at + 1));
      for (const char of ['"', "'", ",", "}", "$", "\\", ":", "%"]) {
        judge(good.slice(0, at) + char + good.slice(at));
      }
    }
  });

  it("is one typed error with a place, and no secret, for token soup", () => {
    const token = fc.constantFrom(
      ...[
        "{",
        "}",
        "[",
        "]",
        ",",
        ".",
        "|",
        "=>",
        "#{",
        "<<",
        ">>",
        "server",
        "client",
        "password",
        '"hunter2"',
        "Secret",
      ],
      ...[
        "'hunter2'",
        "fun",
        "1",
        "1.5",
        "$x",
        "$",
        "16#",
        "36#hunter2",
        "99#hunter2",
        "hunter2:Secret",
        "%",
        "\n",
        "-",
        "/",
        '"',
        "'",
      ],
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => judge(tokens.join(" "))),
      { numRuns: 200 },
    );
    fc.assert(fc.property(fc.string({ maxLength: 200, unit: "binary" }), judge), { numRuns: 200 });
  });
});
