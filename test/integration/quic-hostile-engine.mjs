// An engine that an attacker has taken over. The port of a dial picks what it says about that session.
import { Socket } from "node:net";
import { FrameReader, TO_ENGINE } from "../../lib/carrier/quic/engine-frames.js";
import { ACTS } from "./quic-hostile-acts.mjs";

const pipe = new Socket({ fd: 3, readable: true, writable: true });
const reader = new FrameReader((type, session, body) => {
  if (type !== TO_ENGINE.dial) return;
  const act = Object.values(ACTS)[JSON.parse(body.toString()).port - 1];
  if (act === undefined) throw new Error("no such act");
  pipe.write(act(session));
});
pipe.on("data", (chunk) => reader.push(chunk));
pipe.on("end", () => process.exit(0));
