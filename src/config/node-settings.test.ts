import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NamedByVmArgs, NodeOptions } from "../node/options.ts";
import type { ConfigWarning } from "./erlang-text.ts";
import { type NodeSettingsWorld, withErlangFiles } from "./node-settings.ts";

const SIDE = (file: string): string =>
  `{cacertfile, "/${file}.ca"}, {certfile, "/${file}.crt"}, {keyfile, "/${file}.key"}`;
const CONF = (server: string, client = ""): string =>
  `[{server, [${SIDE("s")}${server}]}, {client, [${SIDE("s")}${client}]}].`;

function world(disk: Readonly<Record<string, string>>): NodeSettingsWorld {
  const text = (path: string): string => {
    const found = disk[path];
    if (found === undefined) throw Object.assign(new Error(path), { code: "EACCES" });
    return found;
  };
  return {
    files: {
      facts: (path) => {
        if (!(path in disk) && path !== "/locked") return undefined;
        const kind = path === "/pipe" ? "other" : "file";
        return { kind, bytes: 1, mode: 0o600, changedMs: 0, stamp: "", link: false, foreign: false };
      },
      read: (path) => Buffer.from(text(path)),
      readText: text,
    },
    directory: "/work",
    hostname: "box.example",
  };
}

function settings(options: NodeOptions | NamedByVmArgs, disk: Readonly<Record<string, string>> = {}) {
  const warnings: ConfigWarning[] = [];
  return { ...withErlangFiles(options, world(disk), warnings), warnings };
}

function failure(options: NodeOptions | NamedByVmArgs, disk: Readonly<Record<string, string>> = {}): SallyportError {
  try {
    settings(options, disk);
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("accepted");
}

const TLS = { caFile: "/s.ca", certFile: "/s.crt", keyFile: "/s.key" };

describe("withErlangFiles", () => {
  it("leaves options without files as they are", () => {
    const resolve = [{ resolve: async () => undefined }] as never;
    const options = { name: "a@h", resolve, listen: [] };
    expect(withErlangFiles(options, world({}), [])).toEqual(options);
  });

  it("makes the object that JSON would: the same for both sides stands once", () => {
    const disk = {
      "/vm.args": "-name a@h\n-setcookie ${COOKIE}\n-ssl_dist_optfile /c\n-kernel net_ticktime 8",
      "/c": CONF(
        ", {depth, 1}, {versions, ['tlsv1.3']}, {honor_cipher_order, false}",
        ", {depth, 3}, {versions, ['tlsv1.3']}",
      ),
    };
    const vmArgs = {
      file: "/vm.args",
      environment: (name: string) => (name === "COOKIE" ? "secret-cookie-16" : undefined),
    };
    expect(settings({ vmArgs, maxOpenCalls: 7 }, disk)).toEqual({
      name: "a@h",
      cookie: "secret-cookie-16",
      listen: ["tls://0.0.0.0:9100-9155"],
      tickTimeMs: 8000,
      maxOpenCalls: 7,
      tls: {
        ...TLS,
        minVersion: "TLSv1.3",
        maxVersion: "TLSv1.3",
        server: { depth: 1, honorCipherOrder: false },
        client: { depth: 3 },
      },
      warnings: [],
    });
    expect(failure({ vmArgs: "/vm.args" }, disk)).toMatchObject({ reason: "ENV_UNSET" });
  });

  it("keeps other certificates for dialling apart", () => {
    const disk = { "/c": `[{server, [${SIDE("s")}]}, {client, [${SIDE("c")}]}].` };
    expect(settings({ name: "a@h", sslDistOptfile: "/c" }, disk).tls).toEqual({
      ...TLS,
      client: { caFile: "/c.ca", certFile: "/c.crt", keyFile: "/c.key" },
    });
  });

  it("counts what the caller says more than vm.args, key by key", () => {
    const disk = {
      "/vm.args": "-name a@h -setcookie x -ssl_dist_optfile /c",
      "/c": CONF(", {depth, 1}", ", {depth, 1}"),
    };
    const own = { name: "b@h", cookie: { file: "/cookie" }, listen: [], tls: { ...TLS, caFile: "/own" } };
    expect(settings({ ...own, vmArgs: "/vm.args" }, disk)).toMatchObject({ ...own, tls: { ...own.tls, depth: 1 } });
  });

  it("refuses two values on one level", () => {
    const disk = { "/c": CONF(", {depth, 1}") };
    const both = (tls: object) => ({ name: "a@h", sslDistOptfile: "/c", tls: { ...TLS, ...tls } });
    expect(failure(both({ caFile: "/other" }), disk)).toMatchObject({ reason: "CONFIG_CONFLICT" });
    expect(failure(both({ depth: 2 }), disk).message).toContain(
      "/c:1:86: depth of server says something else than option tls.depth",
    );
    expect(failure(both({ server: { depth: 2 } }), disk)).toMatchObject({ reason: "CONFIG_CONFLICT" });
    expect(settings(both({ depth: 1 }), disk).tls).toEqual({ ...TLS, depth: 1, server: { depth: 1 } });
  });

  it("joins -ssl_dist_opt with the file on its level", () => {
    const both = (args: string) => ({
      "/vm.args": `-name a@h -ssl_dist_optfile /c -ssl_dist_opt ${args}`,
      "/c": CONF(""),
    });
    expect(settings({ vmArgs: "/vm.args" }, both("server_depth 0")).tls).toEqual({ ...TLS, server: { depth: 0 } });
    expect(failure({ vmArgs: "/vm.args" }, both("server_certfile /x"))).toMatchObject({ reason: "CONFIG_CONFLICT" });
    const alone = ["server", "client"].map(
      (side) => `${side}_cacertfile /s.ca ${side}_certfile /s.crt ${side}_keyfile /s.key`,
    );
    expect(settings({ vmArgs: "/vm.args" }, { "/vm.args": `-sname a -ssl_dist_opt ${alone.join(" ")}` }).tls).toEqual(
      TLS,
    );
    expect(failure({ vmArgs: "/vm.args" }, { "/vm.args": `-sname a -ssl_dist_opt ${alone[0]}` })).toMatchObject({
      reason: "CONF_SECTION_MISSING",
    });
  });

  it.each([
    [
      { name: "a@h", sslDistOptfile: "/none" },
      "CONF_UNREADABLE",
      "/none, named by option sslDistOptfile, does not exist",
    ],
    [{ name: "a@h", sslDistOptfile: "/pipe" }, "CONF_UNREADABLE", "no regular file"],
    [{ name: "a@h", sslDistOptfile: "/locked" }, "CONF_UNREADABLE", "EACCES"],
    [{ vmArgs: "/empty" }, "NAME_MISSING", "nothing gives the node a name"],
    [{ vmArgs: "/more" }, "CONF_UNREADABLE", "/work/none, named by /more, does not exist"],
    [{ vmArgs: "/conf" }, "CONF_UNREADABLE", "named by /conf:1:10, does not exist"],
  ])("refuses %j", (options, reason, says) => {
    const disk = {
      "/pipe": "",
      "/empty": "# nothing",
      "/more": "-args_file none",
      "/conf": "-sname a -ssl_dist_optfile /none",
    };
    const error = failure(options, disk);
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason });
    expect(error.message).toContain(says);
  });

  it.each([
    ["the guide's switch", "-ssl_dist_opt server_verify_opts [log_level,debug]", "", ""],
    ["log_level of the server", "", ", {log_level, debug}", ""],
    ["log_level of the client", "", "", ", {log_level, all}"],
  ])("turns tls.debug on, for both sides, with %s", (_, flags, server, client) => {
    const disk = { "/vm.args": `-name a@h\n-ssl_dist_optfile /c\n${flags}`, "/c": CONF(server, client) };
    const { tls, warnings } = settings({ vmArgs: "/vm.args" }, disk);
    expect([tls, warnings]).toEqual([{ ...TLS, debug: true }, []]);
  });

  it("takes a log_level that asks for less as what it is: nothing", () => {
    const { tls, warnings } = settings({ name: "a@h", sslDistOptfile: "/c" }, { "/c": CONF(", {log_level, notice}") });
    expect([tls, warnings]).toMatchObject([TLS, [{ reason: "CONF_NO_EFFECT" }]]);
  });

  it("refuses verify_none, unless plain TCP is allowed by name: then certificates are checked all the same", () => {
    const disk = { "/c": CONF(", {verify, verify_none}", ", {verify, verify_none}") };
    const options = { name: "a@h", sslDistOptfile: "/c" };
    expect(failure(options, disk).reason).toBe("VERIFY_DISABLED");
    expect(failure({ ...options, dangerous: { plaintext: false } }, disk).reason).toBe("VERIFY_DISABLED");
    const { tls, warnings } = settings({ ...options, dangerous: { plaintext: true } }, disk);
    expect(tls).toEqual(TLS);
    expect(warnings).toMatchObject([{ reason: "CONF_NO_EFFECT", message: expect.stringContaining("verify_none") }]);
  });

  it("tells of a file of ${file:} that others may read, and refuses it in profile strict", () => {
    const disk = { "/c": CONF(', {password, "${file:/secret}"}', ', {password, "${file:/secret}"}'), "/secret": "x" };
    const open = world(disk);
    const files = { ...open.files, facts: (path: string) => ({ ...facts(open, path), mode: 0o644 }) };
    const options = { name: "a@h", sslDistOptfile: "/c" } as const;
    const warnings: ConfigWarning[] = [];
    withErlangFiles(options, { ...open, files }, warnings);
    expect(warnings).toMatchObject([{ reason: "VARIABLE_FILE_EXPOSED", message: expect.stringContaining("/secret") }]);
    const strict = (): unknown => withErlangFiles({ ...options, profile: "strict" }, { ...open, files }, []);
    expect(strict).toThrow(expect.objectContaining({ reason: "VARIABLE_FILE_EXPOSED" }));
  });
});

function facts({ files }: NodeSettingsWorld, path: string) {
  const found = files.facts(path);
  if (found === undefined) throw new Error(`no file ${path}`);
  return found;
}
