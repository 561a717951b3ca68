import { expect, it } from "vitest";
import { atomName, Pid } from "../term/types.ts";
import { A, B, NativePair } from "../testkit/native-pair.ts";
import type { SallyportNode } from "./node.ts";

it("what names a process of an earlier life of a node reaches nobody in its next one", async () => {
  const pair = new NativePair();
  const run = async () => {
    for (let option = pair.network.options()[0]; option !== undefined; option = pair.network.options()[0]) {
      pair.network.take(option);
      await pair.settle();
    }
  };
  const connect = async (from: SallyportNode, label: string) => {
    const connecting = from.connect(B, { timeoutMs: 60_000 });
    await pair.settle();
    await run();
    expect((await connecting).name, label).toBe(B);
  };
  const heard: unknown[] = [];
  const target = (node: SallyportNode) =>
    node.spawn((message) => void heard.push(message), {
      allow: { atLeast: "pinned", verbs: ["send", "call", "link", "monitor"] },
    });
  const a = pair.start(A, "a");
  const first = pair.start(B, "b");
  const old = target(first).pid;
  await connect(a, "first life");
  a.send(old, 1);
  await pair.settle();
  await run();
  expect(heard).toEqual([1]);
  const closing = first.close({ timeoutMs: 0 });
  await run();
  await closing;
  const second = pair.start(B, "B");
  const now = target(second).pid;
  expect([now.id, now.serial, now.creation === old.creation]).toEqual([old.id, old.serial, false]);
  await connect(a, "second life");
  const downs: string[] = [];
  a.monitor(old, ({ reason }) => void downs.push(atomName(reason) ?? "?"));
  const linked: string[] = [];
  a.link(
    a.spawn((message) => void linked.push(String(message)), { trapExit: true }),
    old,
  );
  const call = a.call(old, 2, { timeoutMs: 60_000 }).catch((error: { reason: string }) => error.reason);
  a.send(old, 3);
  a.send(new Pid(B, now.id, now.serial, now.creation), 4);
  await pair.settle();
  await run();
  // No rule speaks of a process that is not there, so nothing is said of it but that; where one does, it is `noproc`.
  expect(await call).toBe("POLICY_DENIED");
  expect([downs.length, linked.length]).toEqual([1, 1]);
  expect(heard).toEqual([1, 4]);
});
