// What an engine that an attacker has taken over may say about a session.
import {
  channelHead,
  channelNumberFrame,
  FROM_ENGINE,
  frame,
  jsonFrame,
} from "../../lib/carrier/quic/engine-frames.js";

const opened = (session, more = {}) =>
  jsonFrame(FROM_ENGINE.opened, session, {
    remoteHost: "127.0.0.1",
    remotePort: 1,
    localHost: "127.0.0.1",
    localPort: 2,
    alpn: "erlang-dist",
    peerCert: "",
    ...more,
  });
const text = Buffer.from("x");
const data = (session, channel) => Buffer.concat([channelHead(FROM_ENGINE.data, session, channel, text.length), text]);

export const ACTS = {
  "a length of 4 GiB": () => Buffer.from("ffffffff40", "hex"),
  "a length too short for a frame": () => Buffer.from("0000000440", "hex"),
  "bytes before it is open": (session) => data(session, 3),
  "open twice": (session) => Buffer.concat([opened(session), opened(session)]),
  "an unknown frame": (session) => frame(99, session, Buffer.alloc(3)),
  "an address that is none": (session) => opened(session, { remoteHost: "a\nb" }),
  "a port that is none": (session) => opened(session, { remotePort: 70000 }),
  "a certificate that is too long": (session) => opened(session, { peerCert: "A".repeat(40000) }),
  "no JSON": (session) => frame(FROM_ENGINE.opened, session, Buffer.from("{")),
  "a body that is too short for its channel": (session) =>
    Buffer.concat([opened(session), frame(FROM_ENGINE.data, session, Buffer.alloc(3))]),
  "bytes on a channel that only we write": (session) => Buffer.concat([opened(session), data(session, 2)]),
  "bytes behind the end": (session) =>
    Buffer.concat([opened(session), channelHead(FROM_ENGINE.finished, session, 3, 0), data(session, 3)]),
  "more channels than there can be": (session) =>
    Buffer.concat([opened(session), ...Array.from({ length: 5000 }, (_, at) => data(session, 1 + 4 * at))]),
  "an end that nobody made": (session) =>
    jsonFrame(FROM_ENGINE.closed, session, { by: "magic", app: true, code: 0, system: "" }),
  "an accepted session with the number of a dialled one": (session) =>
    jsonFrame(FROM_ENGINE.accepted, session, { listener: 1, remoteHost: "127.0.0.1", remotePort: 1 }),
  "bytes taken that were never written": (session) =>
    Buffer.concat([opened(session), data(session, 1), channelNumberFrame(FROM_ENGINE.written, session, 1, 5, 4)]),
};
