import { describe, expect, it } from "vitest";
import {
  bindingMissing as channelBindingMissing,
  connectionLost,
  notSent,
  rejected,
  streamEnded,
  streamNotOpened,
  streamReset,
  streamStopped,
  timedOut,
} from "../auth/barrel-failures.ts";
import { diagnose } from "../base/diagnosis.ts";
import type { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { bindingMissing, closedCause, engineClosed, engineLost, udpFailure } from "../carrier/quic/quic-errors.ts";
import { alpnWrong, nameNotProven, streamLost } from "./barrel-link-failures.ts";
import { closedDuringHandshake, distStepTimeout } from "./connection-failures.ts";

const A = parseNodeName("a@127.0.0.1");
const B = parseNodeName("b@127.0.0.1");
const AT = "127.0.0.1:4433";

const tls = (by: "peer" | "local", alert: number, side: "dial" | "accept"): SallyportError =>
  closedCause({ by, app: false, code: 0x100 + alert, system: "" }, AT, false, side) as SallyportError;

describe("what a failure over QUIC comes down to", () => {
  it.each<readonly [what: string, error: SallyportError, code: string, stage: string, fault: string]>([
    ["a closed port", udpFailure("ECONNREFUSED", AT), "UDP_CLOSED", "port", "remote"],
    ["silence", udpFailure("ETIMEDOUT", AT), "UDP_FILTERED", "port", "network"],
    ["no route", udpFailure("ENETUNREACH", AT), "PEER_UNREACHABLE", "port", "network"],
    ["a host that refuses for its firewall", udpFailure("EHOSTUNREACH", AT), "PEER_UNREACHABLE", "port", "network"],
    ["no such host", udpFailure("ENOTFOUND", AT), "PEER_UNREACHABLE", "resolve", "local"],
    ["a firewall of this machine", udpFailure("EPERM", AT), "QUIC_SYSTEM_ERROR", "port", "local"],
    ["no binding", bindingMissing(), "QUIC_BINDING_MISSING", "port", "local"],
    ["a closed engine", engineClosed(), "QUIC_ENGINE_CLOSED", "port", "local"],
    ["an engine that died at once", engineLost("killed", "port"), "QUIC_ENGINE_LOST", "port", "local"],
    ["an engine that died later", engineLost("killed", "session"), "QUIC_ENGINE_LOST", "session", "local"],
    [
      "an engine that died before anything was heard in the exchange",
      connectionLost("hello", false, engineLost("killed", "session")),
      "QUIC_ENGINE_LOST",
      "identity",
      "local",
    ],
    [
      "an engine that died in the middle of the exchange",
      connectionLost("response", true, engineLost("silent", "session")),
      "QUIC_ENGINE_LOST",
      "identity",
      "local",
    ],
    ["no common protocol", tls("peer", 120, "dial"), "QUIC_NO_ALPN", "tls", "either"],
    ["no common protocol, at the listener", tls("local", 120, "accept"), "QUIC_NO_ALPN", "tls", "either"],
    ["another protocol", alpnWrong("h3"), "QUIC_NO_ALPN", "tls", "either"],
    ["an alert", tls("peer", 40, "dial"), "QUIC_TLS_FAILED", "tls", "either"],
    ["a certificate of somebody else", tls("local", 51, "dial"), "QUIC_CERTIFICATE_UNPROVEN", "certificate", "remote"],
    ["the same, at the listener", tls("peer", 51, "accept"), "QUIC_CERTIFICATE_UNPROVEN", "certificate", "local"],
    ["no certificate", channelBindingMissing("peer's"), "CHANNEL_BINDING_MISSING", "certificate", "remote"],
    ["none of our own", channelBindingMissing("own"), "CHANNEL_BINDING_MISSING", "certificate", "local"],
    ["no stream", streamNotOpened(undefined), "BARREL_STREAM_FAILED", "identity", "remote"],
    ["our stream stopped", streamStopped("challenge", 7), "BARREL_STREAM_FAILED", "identity", "remote"],
    ["our stream full", notSent("ok", undefined), "BARREL_STREAM_FAILED", "identity", "remote"],
    ["a reset", streamReset("hello", 7), "BARREL_STREAM_RESET", "identity", "remote"],
    ["an end after our HELLO", streamEnded("challenge"), "BARREL_STREAM_ENDED", "identity", "remote"],
    ["an end after our CHALLENGE", streamEnded("response"), "CLOCK_SKEW", "identity", "either"],
    ["a close after our CHALLENGE", connectionLost("response", true, undefined), "CLOCK_SKEW", "identity", "either"],
    ["a close before HELLO", connectionLost("hello", false, undefined), "PEER_UNREACHABLE", "identity", "remote"],
    ["silence in the exchange", timedOut("challenge", true, 10), "PEER_UNREACHABLE", "identity", "remote"],
    ["another key pinned there", rejected("key_mismatch", A).error, "KEY_MISMATCH", "identity", "remote"],
    ["no trust there", rejected("untrusted_key", A).error, "KEY_UNTRUSTED", "identity", "remote"],
    ["a proof that did not hold there", rejected("signature_invalid", A).error, "PROOF_INVALID", "identity", "either"],
    ["another word", rejected("constructor", A).error, "REFUSED_BY_PEER", "identity", "remote"],
    ["two names", nameNotProven(A, B), "PEER_NAME_MISMATCH", "identity", "remote"],
    ["silence in Erlang's handshake", distStepTimeout("status", 10, A), "PEER_UNREACHABLE", "cookie", "remote"],
    ["a close in Erlang's handshake", closedDuringHandshake("dist step", A), "PEER_UNREACHABLE", "cookie", "remote"],
    ["another stream in the exchange", streamLost(4, 7, "auth"), "BARREL_STREAM_LOST", "identity", "remote"],
    ["a handshake stream that was reset", streamLost(0, 7, "dist"), "BARREL_STREAM_LOST", "cookie", "remote"],
    ["a stream of a session", streamLost(4, undefined, "session"), "BARREL_STREAM_LOST", "session", "remote"],
  ])("%s: %s", (_what, error, code, stage, fault) => {
    const { fix, ...diagnosis } = diagnose(error);
    expect(diagnosis).toMatchObject({ code, stage, fault });
    expect(fix).toMatch(/^on .+: ./);
  });
});
