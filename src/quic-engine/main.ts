import { ENGINE_EXIT, FrameReader, TO_ENGINE } from "../carrier/quic/engine-frames.ts";
import { openEnginePipe } from "../carrier/quic/engine-pipe.ts";
import { nativeBytes, volunteerForMemory } from "../system/process-memory.ts";
import { RealClock } from "../system/real-clock.ts";
import { RealRandom } from "../system/real-random.ts";
import { loadBinding } from "./binding.ts";
import { Engine } from "./engine.ts";
import { LastResort } from "./last-resort.ts";
import { Pipe } from "./pipe.ts";

/** Orders that came in a read of at most so many octets are carried out at once. */
const FEW_ORDERS_BYTES: number = 16 * 1024;

/** The QUIC engine's process: it lives as long as its pipe to the node does. */
function main(): void {
  let binding: ReturnType<typeof loadBinding>;
  try {
    binding = loadBinding(process.platform, process.arch);
  } catch {
    process.exit(ENGINE_EXIT.noBinding);
  }
  const clock = new RealClock();
  const socket = openEnginePipe();
  const resort = new LastResort();
  const pipe = new Pipe(socket, clock);
  volunteerForMemory();
  const memory = {
    nativeBytes,
    // The node starts this process with --expose-gc.
    collect: () => globalThis.gc?.(),
    exceeded: () => process.exit(ENGINE_EXIT.memoryExceeded),
  };
  const nodeSilent = (): never => process.exit(ENGINE_EXIT.nodeSilent);
  const beat = (): void => resort.beat();
  const engine = new Engine({ binding, clock, random: new RealRandom(), pipe, memory, beat, nodeSilent });
  const reader = new FrameReader(
    (type, session, body) => engine.order(type, session, body),
    new Set<number>([TO_ENGINE.write, TO_ENGINE.writeAndFlush]),
    (type, session, channel, bytes, isLast) =>
      engine.write(session, channel, bytes, isLast && type === TO_ENGINE.writeAndFlush),
  );
  const leave = (): void => engine.leave(() => process.exit(0));
  socket.on("data", (chunk: Buffer) => {
    engine.ordersBegin();
    reader.push(chunk);
    engine.ordersEnd(chunk.length <= FEW_ORDERS_BYTES);
  });
  socket.on("end", leave);
  socket.on("error", leave);
  socket.on("close", leave);
}

main();
