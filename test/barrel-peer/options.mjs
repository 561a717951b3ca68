// Command line of the peer.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FLAGS } from "./handshake.mjs";

const TEXT = { type: "string" };
const LIST = { type: "string", multiple: true };

/** `host:port`, IPv6 in brackets. */
export function parseAddress(text) {
  const [, host, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(text) ?? [];
  if (host === undefined) throw new Error(`not host:port: ${text}`);
  return { host, port: Number(port) };
}

/** @param {string[]} args */
export function parseOptions(args) {
  const { values: v } = parseArgs({
    args,
    options: {
      name: TEXT,
      listen: LIST,
      dial: LIST,
      "key-dir": TEXT,
      "cert-dir": TEXT,
      "cookie-file": TEXT,
      trust: { ...TEXT, default: "tofu" },
      auth: { ...TEXT, default: "on" },
      "cookie-only": LIST,
      hidden: { type: "boolean", default: false },
      fragments: { ...TEXT, default: "on" },
      "auth-timeout": { ...TEXT, default: "10000" },
      "timestamp-window": { ...TEXT, default: "30000" },
      "tick-ms": { ...TEXT, default: "15000" },
      "acceptor-delay": { ...TEXT, default: "1000" },
      "stream-bytes": { ...TEXT, default: "4194304" },
      "whole-frames": { ...TEXT, default: "on" },
      alpn: { ...TEXT, default: "erlang-dist" },
      tag: LIST,
      trace: { type: "boolean", default: false },
      "listen-attack": TEXT,
      "dial-attack": TEXT,
      "attack-options": { ...TEXT, default: "{}" },
    },
  });
  for (const needed of ["name", "key-dir", "cookie-file"]) {
    if (v[needed] === undefined) throw new Error(`--${needed} is missing`);
  }
  return {
    name: v.name,
    listen: v.listen ?? [],
    dial: (v.dial ?? []).map((text) => ({
      to: text.slice(0, text.indexOf("=")),
      address: text.slice(text.indexOf("=") + 1),
    })),
    keyDir: v["key-dir"],
    certDir: v["cert-dir"] ?? join(v["key-dir"], "quic"),
    cookie: withoutNewline(readFileSync(v["cookie-file"])),
    trust: oneOf("trust", v.trust, ["tofu", "strict"]),
    auth: oneOf("auth", v.auth, ["on", "off"]) === "on",
    cookieOnly: v["cookie-only"] ?? [],
    flags: v.hidden ? FLAGS.hidden : FLAGS.visible,
    fragments: oneOf("fragments", v.fragments, ["on", "off"]) === "on",
    authTimeoutMs: Number(v["auth-timeout"]),
    windowMs: Number(v["timestamp-window"]),
    tickMs: Number(v["tick-ms"]),
    acceptorDelayMs: Number(v["acceptor-delay"]),
    streamBytes: Number(v["stream-bytes"]),
    wholeFrames: oneOf("whole-frames", v["whole-frames"], ["on", "off"]) === "on",
    alpn: v.alpn.split(","),
    tags: v.tag ?? ["echo", "sink"],
    trace: v.trace,
    listenAttack: v["listen-attack"],
    dialAttack: v["dial-attack"],
    attackOptions: JSON.parse(v["attack-options"]),
  };
}

function withoutNewline(bytes) {
  return bytes.at(-1) === 10 ? bytes.subarray(0, bytes.at(-2) === 13 ? -2 : -1) : bytes;
}

function oneOf(name, value, allowed) {
  if (!allowed.includes(value)) throw new Error(`--${name} is one of ${allowed.join(", ")}`);
  return value;
}
