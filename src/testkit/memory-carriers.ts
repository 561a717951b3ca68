import { addMs } from "../base/clock.ts";
import type { CarrierInfo, CarrierSink } from "../carrier/carrier.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** Hands on as one chunk what comes within a millisecond. */
export function inOneChunk(sink: CarrierSink, clock: VirtualClock): CarrierSink {
  let chunks: Buffer[] = [];
  return {
    opened: (info) => sink.opened(info),
    drained: (channel) => sink.drained(channel),
    closed: (cause) => sink.closed(cause),
    bytes(channel, chunk) {
      if (chunks.push(chunk) > 1) return;
      clock.at(addMs(clock.now(), 1), () => {
        const all = Buffer.concat(chunks);
        chunks = [];
        sink.bytes(channel, all);
      });
    },
  };
}

/** A TLS session of the native handshake, as either end sees it. */
export function nativeTls(end: "dialler" | "acceptor"): Partial<CarrierInfo> {
  const certificates = { dialler: Buffer.from("the dialler's"), acceptor: Buffer.from("the acceptor's") };
  return {
    tlsVersion: "TLSv1.3",
    alpn: NATIVE_ALPN,
    ownCertDer: certificates[end],
    peerCertDer: certificates[end === "dialler" ? "acceptor" : "dialler"],
    exporter: (_label, length) => Buffer.alloc(length, 7),
  };
}
