import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** The pipe to the node is this file descriptor of the engine process. */
const PIPE_FD = 3;

/** The engine's end of its pipe to the node. Once per process. */
export function openEnginePipe(): Duplex {
  return new Socket({ fd: PIPE_FD, readable: true, writable: true });
}
