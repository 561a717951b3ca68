// Questions to a port mapper, from the specification alone.
import { connect } from "node:net";
import { type Bytes, join, u8, u16 } from "./etf.ts";

/** Sends one request and gives all that comes until the other end closes. */
export function askEpmd(port: number, body: Bytes): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const parts: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => parts.push(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(Buffer.concat(parts)));
    socket.write(join(u16(body.length), body));
  });
}

/** PORT_PLEASE2 for the part of a name before the `@`. */
export async function lookUp(port: number, name: string): Promise<{ found: boolean; port?: number }> {
  const answer = await askEpmd(port, join(u8(122), Buffer.from(name, "latin1")));
  if (answer[0] !== 119 || answer[1] !== 0) return { found: false };
  return { found: true, port: answer.readUInt16BE(2) };
}

/** ALIVE2: true when the name was taken. */
export async function register(port: number, name: string, at: number): Promise<boolean> {
  const entry = join(u8(120), u16(at), u8(77), u8(0), u16(6), u16(5), u16(name.length), Buffer.from(name), u16(0));
  const answer = await askEpmd(port, entry);
  return answer.length > 1 && answer[1] === 0;
}

/** NAMES: the text. */
export async function names(port: number): Promise<string> {
  return (await askEpmd(port, u8(110))).subarray(4).toString("latin1");
}
