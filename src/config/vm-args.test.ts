import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { type ConfigWarning, type ErlangSource, ErlangText } from "./erlang-text.ts";
import { parseVmArgs } from "./vm-args.ts";
import { MAX_ARGS_FILES, MAX_WORDS } from "./vm-args-flags.ts";
import { wordsOf } from "./vm-args-words.ts";

const FIXTURES = new URL("../../test/fixtures/erlang-config/", import.meta.url);
const VARIABLES: Readonly<Record<string, string>> = { ERLANG_COOKIE: "from the environment", EMPTY: "", PORT: "9200" };
const SOURCE: ErlangSource = {
  file: "vm.args",
  directory: "/work",
  variables: { environment: (name) => VARIABLES[name], file: () => ({ ok: true, text: "from a file" }) },
};

function read(text: string, files: Readonly<Record<string, string>> = {}) {
  const warnings: ConfigWarning[] = [];
  const readFile = (path: string): string => {
    const inner = files[path];
    if (inner === undefined) throw new Error(`no file ${path}`);
    return inner;
  };
  const { settings, sides } = parseVmArgs(text, SOURCE, { readFile, hostname: "box.example" }, warnings);
  const options = Object.fromEntries(settings.map(({ path, value }) => [path.join("."), value]));
  return { options, settings, sides, warnings };
}

function failure(text: string, files: Readonly<Record<string, string>> = {}): SallyportError {
  try {
    read(text, files);
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("accepted");
}

describe("the samples of the TLS guide, letter by letter", () => {
  const load = (name: string) => read(readFileSync(new URL(`${name}/vm.args`, FIXTURES), "utf8"));

  it("quick start", () => {
    expect(load("quick-start")).toMatchObject({
      options: {
        name: "node1@hostname",
        cookie: "mysecretcookie",
        sslDistOptfile: "/path/to/ssl_dist.conf",
        listen: ["tls://0.0.0.0:9100-9155"],
      },
      warnings: [],
    });
  });

  it("production", () => {
    const { options, settings, warnings } = load("production");
    expect(options).toEqual({
      name: "myapp@myhost.example.com",
      cookie: "from the environment",
      sslDistOptfile: "/etc/distribute/ssl_dist.conf",
      listen: ["tls://0.0.0.0:9100-9155"],
    });
    expect(warnings).toEqual([]);
    expect(settings.map(({ path: [key], place, secret }) => [key, place, secret])).toEqual([
      ["sslDistOptfile", "vm.args:7:1", false],
      ["cookie", "vm.args:3:1", true],
      ["name", "vm.args:2:1", false],
      ["listen", "vm.args:10:9", false],
    ]);
  });

  it("its switch for debugging, which no release has", () => {
    const { warnings, sides } = read("-ssl_dist_opt server_verify_opts [log_level,debug]");
    expect(warnings).toEqual([]);
    expect(sides.client).toBeUndefined();
  });
});

describe("words", () => {
  const words = (text: string): string[] => wordsOf(new ErlangText(text, SOURCE, [])).map(({ word }) => word);

  // What `erl -args_file` of OTP 25 makes of the same text.
  it.each([
    ["-a x#y \"q # r\" 'sq\\n' e\\ sc", ["-a", "x"]],
    ['-c ${FOO} "${FOO}" a"b"c', ["-c", "${FOO}", "${FOO}", "abc"]],
    ["-b \"q # r\" 'sq\\n' e\\ sc", ["-b", "q # r", "sq\\n", "e sc"]],
    ["## one\n-name\ta@h\r\n\n# two\n-x", ["-name", "a@h", "-x"]],
    ["-a \"\" '' x", ["-a", "", "", "x"]],
    ['"a"\'b\'\\"c', ['ab"c']],
    ["a\\", ["a"]],
    ["", []],
    ["# only", []],
  ])("cuts %j", (text, expected) => {
    expect(words(text)).toEqual(expected);
  });
});

describe("parseVmArgs", () => {
  it.each([
    ["-sname a", { name: "a@box" }],
    ["-name a", { name: "a@box.example" }],
    ["-name node1@node1", { name: "node1@node1" }],
    ["-name a@h -name a@h", { name: "a@h" }],
    ["-setcookie 'a # b'", { cookie: "a # b" }],
    ["-setcookie a#b", { cookie: "a" }],
    ["-setcookie ${file:/run/x}", { cookie: "from a file" }],
    ["-setcookie ${UNSET:-fallback}", { cookie: "fallback" }],
    ["-setcookie x$y", { cookie: "x$y" }],
    ["-setcookie b@h two", { cookie: { peers: { "b@h": "two" } } }],
    ["-setcookie one -setcookie b@h two", { cookie: { default: "one", peers: { "b@h": "two" } } }],
    ["-ssl_dist_optfile conf/x", { sslDistOptfile: "/work/conf/x" }],
    ["-kernel net_ticktime 8", { tickTimeMs: 8000 }],
    ["-kernel inet_dist_listen_min 9200", { listen: ["tls://0.0.0.0:9200"] }],
    ["-kernel inet_dist_listen_min ${PORT} inet_dist_listen_max 9205", { listen: ["tls://0.0.0.0:9200-9205"] }],
    ["-kernel inet_dist_listen_min 9100 -kernel inet_dist_listen_max 9100", { listen: ["tls://0.0.0.0:9100"] }],
    ["-kernel inet_dist_use_interface {127,0,0,1}", { listen: ["tls://127.0.0.1:9100-9155"] }],
    ["-kernel inet_dist_use_interface '{0,0,0,0,0,0,0,1}'", { listen: ["tls://[0:0:0:0:0:0:0:1]:9100-9155"] }],
    ["-proto_dist inet6_tls -sname a", { listen: ["tls://[::]:9100-9155"] }],
    ["-proto_dist inet_tcp -sname a", { listen: ["tcp://0.0.0.0:9100-9155"] }],
    ["-proto_dist inet_tls", {}],
    ["-sname a -dist_listen false", { name: "a@box", listen: [] }],
    ["-hidden -no_epmd", { visible: false, epmd: "off" }],
    ["-setcookie a -extra -setcookie b", { cookie: "a" }],
    ["\ufeff-setcookie a", { cookie: "a" }],
  ])("reads %s", (text, expected) => {
    expect(read(text).options).toMatchObject(expected);
    if (!text.includes("name ")) expect(Object.keys(read(text).options).sort()).toEqual(Object.keys(expected).sort());
  });

  it("reads options of ssl by pairs, each of the kind that OTP makes of it", () => {
    const { sides, warnings } = read(
      "-ssl_dist_opt server_certfile n.crt server_cacertfile /ca.crt server_keyfile n.key server_password pw\n" +
        "-ssl_dist_opt server_verify verify_peer server_fail_if_no_peer_cert true server_depth 1 client_depth 3\n" +
        "-ssl_dist_opt server_ciphers TLS_AES_128_GCM_SHA256 server_versions tlsv1.3 server_secure_renegotiate true",
    );
    expect(Object.fromEntries([...(sides.server?.complete() ?? [])].map(([key, { value }]) => [key, value]))).toEqual({
      certFile: "/work/n.crt",
      caFile: "/ca.crt",
      keyFile: "/work/n.key",
      passphrase: "pw",
      depth: 1,
      ciphers: ["TLS_AES_128_GCM_SHA256"],
      minVersion: "TLSv1.3",
      maxVersion: "TLSv1.3",
    });
    expect(() => sides.client?.complete()).toThrow(expect.objectContaining({ reason: "CONF_OPTION_MISSING" }));
    expect(warnings).toHaveLength(1);
  });

  it("follows -args_file in its place, to a bounded depth", () => {
    const files = { "/work/a.args": "-args_file b.args\n-hidden", "/work/b.args": "-sname b -extra x" };
    expect(read("-args_file a.args -setcookie c", files).options).toMatchObject({
      name: "b@box",
      cookie: "c",
      visible: false,
    });
    expect(failure("\n-args_file self", { "/work/self": "-args_file self" })).toMatchObject({
      reason: "VMARGS_SYNTAX",
    });
    const chain = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`/work/${i}`, `-args_file ${i + 1}`]));
    expect(() => read("-args_file 0", { ...chain, [`/work/${MAX_ARGS_FILES - 2}`]: "-hidden" })).not.toThrow();
    expect(failure("-args_file 0", { ...chain, [`/work/${MAX_ARGS_FILES - 1}`]: "-hidden" })).toMatchObject({
      reason: "VMARGS_SYNTAX",
      message: expect.stringContaining(`/work/${MAX_ARGS_FILES - 2}:1:1`),
    });
  });

  it("lists what it ignores once, with what was probably meant and without values", () => {
    const { warnings } = read(
      "+P 5000 -heart -env HOME /root/hunter2 -setcooke hunter2 -heart stray\n-- a b c -kernel logger_level info",
    );
    expect(warnings).toEqual([
      {
        reason: "VMARGS_IGNORED",
        message:
          "vm.args: ignored, since they mean nothing here: 3 words without a flag, +P, -heart, -env, the flag at vm.args:1:40 (did you mean -setcookie?)",
      },
      { reason: "VMARGS_IGNORED", message: "vm.args: ignored parameters of kernel: logger_level" },
    ]);
    expect(read("-kernel net_tiktime 8").warnings[0]?.message).toContain(
      "the one at vm.args:1:9 (did you mean net_ticktime?)",
    );
    expect(read(Array.from({ length: 30 }, (_, i) => `-flag${i}`).join(" ")).warnings[0]?.message).toMatch(
      / and 10 more$/,
    );
  });

  it.each([
    ['-setcookie ""', "COOKIE_EMPTY", "1:12"],
    ["-setcookie ${EMPTY}", "ENV_UNSET", "1:12: -setcookie uses ${EMPTY}"],
    ["\n-setcookie ${UNSET:-}", "COOKIE_EMPTY", "2:12"],
    ["-setcookie ${UNSET}", "ENV_UNSET", "1:12"],
    ["-setcookie b@h ''", "COOKIE_EMPTY", "1:16"],
    ["-setcookie", "VMARGS_VALUE", "1:1"],
    ["-setcookie a b c", "VMARGS_VALUE", "1:1"],
    ["-setcookie nohost b", "VMARGS_VALUE", "name of a node"],
    [
      "-setcookie a -setcookie b",
      "CONFIG_CONFLICT",
      "1:14: -setcookie says something else than -setcookie at vm.args:1:1",
    ],
    ["-name a@h -sname b", "CONFIG_CONFLICT", "1:11: -sname says something else than -name"],
    ["-name", "VMARGS_SYNTAX", "1:1: -name has no value"],
    ["-name a@h b@h", "VMARGS_VALUE", "takes one value"],
    ["-name 'a b@h'", "VMARGS_VALUE", "no name of a node"],
    ["-name ''", "VMARGS_VALUE", "is empty"],
    ['-name "a@h', "VMARGS_SYNTAX", "1:7: the quote that starts here"],
    ["-proto_dist inet_quic", "VMARGS_VALUE", "none of inet_tls"],
    ["-kernel inet_dist_listen_min", "VMARGS_VALUE", "a parameter without a value"],
    [
      "-kernel inet_dist_listen_min 70000",
      "VMARGS_VALUE",
      "1:9: -kernel inet_dist_listen_min is no whole number from 0 to 65535",
    ],
    [
      "-kernel inet_dist_listen_min 9200\n-kernel inet_dist_listen_max 9100",
      "PORT_RANGE_INVALID",
      "2:9: inet_dist_listen_max 9100 is below",
    ],
    ["-kernel inet_dist_use_interface 127.0.0.1", "VMARGS_VALUE", "no address as a tuple"],
    ["-kernel inet_dist_use_interface {127,0,0,256}", "VMARGS_VALUE", "no address as a tuple"],
    ["-kernel net_ticktime soon", "VMARGS_VALUE", "whole number from 1"],
    ["-dist_listen maybe", "VMARGS_VALUE", "none of true, false"],
    ["-args_file", "VMARGS_SYNTAX", "1:1"],
    ["-ssl_dist_opt certfile x", "CONF_OPTION_UNKNOWN", "1:15"],
    ["-ssl_dist_opt server_certfle x", "CONF_OPTION_UNKNOWN", 'did you mean "certfile"?'],
    ["-ssl_dist_opt server_certfile", "VMARGS_VALUE", "an option without a value"],
    ["-ssl_dist_opt server_verify verify_none", "VERIFY_DISABLED", "1:29"],
    ["-ssl_dist_opt server_depth many", "CONF_VALUE", "1:28"],
    ["-ssl_dist_opt client_verify_fun {a,b,c}", "CONF_OPTION_UNSUPPORTED", "code cannot be run"],
    ["-ssl_dist_opt client_ciphers RC4-MD5", "CIPHER_UNSUPPORTED", "1:30"],
    ["-ssl_dist_opt client_versions tlsv1", "VERSION_UNKNOWN", "1:31"],
    ["-ssl_dist_opt server_depth 1 server_depth 2", "CONFIG_CONFLICT", "1:43"],
  ])("refuses %s as %s", (text, reason, says) => {
    const error = failure(text);
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason });
    expect(error.message).toContain("vm.args:");
    expect(error.message).toContain(says);
    expect(error.advice).toMatch(/\w/);
  });

  it("bounds the words of all files together", () => {
    expect(() => read("a ".repeat(MAX_WORDS))).not.toThrow();
    expect(failure("a ".repeat(MAX_WORDS + 1))).toMatchObject({ code: "ERR_LIMIT", reason: "VMARGS_TOO_MANY" });
    const files = { "/work/a": "a ".repeat(MAX_WORDS / 2 + 1) };
    expect(failure("-args_file a -args_file a", files)).toMatchObject({ code: "ERR_LIMIT" });
  });
});

describe("a broken file", () => {
  const good = `## Node\n-name a@h.example\n-setcookie "hunter2Secret"\n-kernel inet_dist_listen_min 9100 inet_dist_listen_max 9155\n-ssl_dist_opt server_password hunter2secret server_depth 2\n`;

  /** Plain comparisons, since `expect` would take most of the time. */
  function judge(text: string): void {
    let shown: string;
    try {
      shown = JSON.stringify(read(text).warnings);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      shown = JSON.stringify([error.message, error.advice, error.detail]);
      if (!/^ERR_(?:CONFIG|LIMIT)$/.test(error.code) || !shown.includes("vm.args")) throw error;
    }
    if (shown.includes("unter2")) throw new Error(`shows a secret: ${shown}`);
  }

  it("is one typed error, and shows no secret, for every cut and every character left out or put in", () => {
    for (let at = 0; at < good.length; at++) {
      judge(good.slice(0, at));
      judge(good.slice(0, at) + good.slice(at + 1));
      for (const char of ['"', "'", "\\", "#", "-", "+", "$", "${", " ", "\n", "\0"])
        judge(good.slice(0, at) + char + good.slice(at));
    }
  });

  it("is one typed error, and shows no secret, for word soup", () => {
    const word = fc.constantFrom(
      ...[
        "-name",
        "-sname",
        "-setcookie",
        "-kernel",
        "-ssl_dist_opt",
        "-proto_dist",
        "-hidden",
        "-extra",
        "--",
        "+P",
        "-x",
      ],
      ...[
        "a@h",
        "hunter2",
        "server_depth",
        "client_verify",
        "net_ticktime",
        "9100",
        '"',
        "'",
        "\\",
        "#",
        "\n",
        "${X}",
        "$$",
      ],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => judge(words.join(" "))),
      { numRuns: 200 },
    );
    fc.assert(fc.property(fc.string({ maxLength: 200, unit: "binary" }), judge), { numRuns: 200 });
  });
});
