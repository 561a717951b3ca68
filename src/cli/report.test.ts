import { describe, expect, it } from "vitest";
import { type ErrorCode, SallyportError } from "../base/errors.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { reportFailure, reportTerm, reportVerdict } from "./report.ts";
import { printable, Terminal } from "./terminal.ts";

interface Screen {
  readonly terminal: Terminal;
  out: string;
  err: string;
}

function screen(options: { json?: boolean; tty?: boolean; environment?: Record<string, string> } = {}): Screen {
  const shown = { out: "", err: "" };
  const stream = (key: "out" | "err") => ({
    isTTY: options.tty === true,
    write: (text: string) => {
      shown[key] += text;
    },
  });
  const terminal = new Terminal({
    stdout: stream("out"),
    stderr: stream("err"),
    environment: (name) => options.environment?.[name],
    json: options.json === true,
  });
  return Object.assign(shown, { terminal });
}

describe("exitCodeOf", () => {
  it.each<[ErrorCode, string, number]>([
    ["ERR_REMOTE", "NOPROC", 1],
    ["ERR_REMOTE", "TARGET_DOWN", 1],
    ["ERR_REMOTE", "HANDLER_ERROR", 1],
    ["ERR_REMOTE", "REMOTE_EXCEPTION", 1],
    ["ERR_PEER_INCOMPATIBLE", "SPAWN_UNSUPPORTED", 1],
    ["ERR_INTERNAL", "UNEXPECTED", 1],
    ["ERR_CONFIG", "USAGE", 2],
    ["ERR_CONFIG", "TERM_SYNTAX", 2],
    ["ERR_CONFIG", "COOKIE_MISSING", 2],
    ["ERR_CONFIG", "ENV_UNSET", 2],
    ["ERR_API_MISUSE", "TERM_UNENCODABLE", 2],
    ["ERR_DENIED", "SECRET_MISMATCH", 3],
    ["ERR_DENIED", "TLS_ALERT_UNKNOWN_CA", 3],
    ["ERR_DENIED", "POLICY_DENIED", 3],
    ["ERR_CLOSED", "CLOSED_DURING_HANDSHAKE", 3],
    ["ERR_PEER_INCOMPATIBLE", "NOT_A_TLS_PEER", 3],
    ["ERR_PEER_MISBEHAVED", "HANDSHAKE_UNEXPECTED", 3],
    ["ERR_UNREACHABLE", "PORT_CLOSED", 4],
    ["ERR_UNREACHABLE", "NAME_UNRESOLVED", 4],
    ["ERR_DEADLINE", "CALL_TIMEOUT", 4],
    ["ERR_CLOSED", "CONNECTION_LOST", 4],
  ])("maps %s %s to %i", (code, reason, exit) => {
    expect(exitCodeOf(new SallyportError(code, reason, "x"))).toBe(exit);
  });

  it("counts an answer lost with the connection as unreachable", () => {
    const lost = new SallyportError("ERR_REMOTE", "TARGET_DOWN", "x", { detail: { remoteReason: "noconnection" } });
    expect(exitCodeOf(lost)).toBe(4);
  });
});

describe("reports", () => {
  const error = new SallyportError("ERR_DENIED", "POLICY_DENIED", "b@h refused\u001b[2J it", {
    advice: "ask\nthem",
    stage: "policy",
    peer: "b@h",
    detail: { decision: "ABC" },
  });

  it("are one line of JSON on stdout, and nothing else", () => {
    const shown = screen({ json: true, tty: true });
    expect(reportFailure(shown.terminal, error)).toBe(3);
    expect(shown.err).toBe("");
    expect(shown.out.endsWith("}\n") && shown.out.split("\n").length === 2).toBe(true);
    expect(JSON.parse(shown.out)).toEqual({
      ok: false,
      error: {
        code: "ERR_DENIED",
        reason: "POLICY_DENIED",
        message: "b@h refused\\u{1b}[2J it",
        advice: "ask\\u{a}them",
        stage: "policy",
        peer: "b@h",
        decision: "ABC",
      },
    });
    const done = screen({ json: true });
    reportTerm(done.terminal, "{ok,3}");
    expect(done.out).toBe('{"ok":true,"result":{"term":"{ok,3}"}}\n');
  });

  it("are a sentence and an advice on stderr for people, without controls from elsewhere", () => {
    const shown = screen();
    reportFailure(shown.terminal, error);
    expect(shown.out).toBe("");
    expect(shown.err).toBe("error: b@h refused\\u{1b}[2J it\nadvice: ask\\u{a}them\n");
  });

  it("of a no hold what was found and why it is a no, in one line or on both streams", () => {
    const verdict = { result: { outcome: "deny-rule" }, human: "deny-rule", failure: error };
    const shown = screen({ json: true });
    expect(reportVerdict(shown.terminal, verdict)).toBe(3);
    expect(JSON.parse(shown.out)).toMatchObject({
      ok: false,
      error: { reason: "POLICY_DENIED" },
      result: { outcome: "deny-rule" },
    });
    const people = screen();
    expect(reportVerdict(people.terminal, { ...verdict, exit: 1 })).toBe(1);
    expect(people.out).toBe("deny-rule\n");
    expect(people.err).toMatch(/^error: .+\nadvice: .+\n$/);
    const yes = screen({ json: true });
    expect(reportVerdict(yes.terminal, { ...verdict, failure: undefined, exit: 1 })).toBe(0);
    expect(yes.out).toBe('{"ok":true,"result":{"outcome":"deny-rule"}}\n');
  });

  it("call what we did not expect our own bug", () => {
    const shown = screen({ json: true });
    expect(reportFailure(shown.terminal, new TypeError("oops"))).toBe(1);
    expect(JSON.parse(shown.out)).toMatchObject({ error: { code: "ERR_INTERNAL", reason: "UNEXPECTED" } });
  });

  it("are coloured on a terminal only, and never with NO_COLOR", () => {
    const coloured = (options: Parameters<typeof screen>[0]): boolean => {
      const shown = screen(options);
      reportFailure(shown.terminal, error);
      return shown.err.includes("\u001b[31m");
    };
    expect(coloured({ tty: true })).toBe(true);
    expect(coloured({ tty: false })).toBe(false);
    expect(coloured({ tty: true, environment: { NO_COLOR: "1" } })).toBe(false);
    expect(coloured({ tty: true, environment: { TERM: "dumb" } })).toBe(false);
  });
});

describe("a JSON document", () => {
  it("is plain text to a terminal, and says the same", () => {
    const value = { text: "a\u001b\u007f\u0085\u009b6n\u202eb\u2028c\u{e0041}é😀\n\ud800" };
    const shown = screen({ json: true });
    shown.terminal.document(value);
    expect(JSON.parse(shown.out)).toEqual(value);
    expect(shown.out.trimEnd()).toBe(printable(shown.out.trimEnd()));
    expect(shown.out).toContain("\\u009b6n\\u202eb\\u2028c\\udb40\\udc41é😀");
  });
});

describe("printable", () => {
  it("keeps text and shows what a terminal would act on", () => {
    expect(printable("héllo {ok,3}")).toBe("héllo {ok,3}");
    expect(printable("a\u001b]0;x\u0007\u202eb\u009b")).toBe("a\\u{1b}]0;x\\u{7}\\u{202e}b\\u{9b}");
  });
});
