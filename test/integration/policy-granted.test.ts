import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { alias, atom, type Bytes, bin, genCall, int, list, NIL, pid, ref, tuple } from "../attack/etf.ts";
import { op } from "../attack/frames.ts";
import { type Attacker, shown } from "../attack/policy-client.ts";
import { type Desktop, everyoneLives, startDesktop, THIRD, type Upshot, upshot } from "../attack/policy-desktop.ts";
import { BOB, EC2, eventually, type Machine } from "../attack/policy-rig.ts";

// What a rule grants works, exactly as far as it goes; and what the desktop asks of others opens one way back, for one answer.

let desktop: Desktop;
let machine: Machine;
beforeAll(async () => {
  desktop = await startDesktop();
  machine = desktop.machine;
});
afterEach(async () => {
  await machine.dropAttackers();
  await machine.arrived();
  expect(await everyoneLives(machine)).toEqual([]);
});
afterAll(() => desktop.world.stop());

const THIRD_PID = pid(THIRD, 9, 0, 5);
const EPERM = /^\{31,#Ref<.*>,<.*>,0,eperm\}$/;
const DOWN = /^\{28,.*\} \{sallyport_denied,<<"[0-9A-HJKMNP-TV-Z]{8,26}">>\}$/;
const DOWN_GONE = /^\{28,.*\} noproc$/;

const target = (peer: Attacker, name: string): Bytes => peer.theirPid(machine.pids[name] ?? { id: 0, serial: 0 });
const small = (peer: Attacker, id: number): Bytes => peer.theirPid({ id, serial: 0 });

describe("return paths", () => {
  /** The desktop asks something of ec2; both sessions, ec2's and bob's. */
  async function twoPeers(): Promise<{ readonly ec2: Attacker; readonly bob: Attacker }> {
    return { ec2: await machine.dials(EC2, desktop.listener), bob: await machine.attacker(BOB) };
  }
  const REFERENCE = /#Ref<my_desktop@home\.[\d.]+>/;
  /** The bytes of the desktop's reference in what it sent. */
  function referenceIn(text: string): Bytes {
    const words = (REFERENCE.exec(text)?.[0] ?? "").replace("#Ref<my_desktop@home.", "").replace(">", "").split(".");
    return ref("my_desktop@home", machine.victim.creation, ...words.map(Number));
  }
  const main = (peer: Attacker): Bytes => small(peer, 1);

  it("CM-12 an answer to ec2 by bob, who knows tag and alias, is dropped; ec2's own is taken, once", async () => {
    const { ec2, bob } = await twoPeers();
    await machine.ask("call", { key: "cm12", name: "jobs", to: EC2 });
    const asked = await ec2.hears(({ text }) => text.includes("$gen_call"));
    const reference = referenceIn(asked.text);
    const answer = (from: Attacker, value: Bytes): void => {
      from.send(op.aliasSend(from.pid(), reference), tuple(alias(reference), value));
    };
    const came = await upshot(machine, bob, (peer) => {
      answer(peer, atom("forged"));
      peer.send(op.sendSender(peer.pid(), main(peer)), tuple(alias(reference), atom("forged")));
      peer.send(op.payloadMonitorExit(atom("jobs"), main(peer), reference), atom("forged"));
    });
    expect([came.stands, came.said, came.unsolicited]).toEqual([true, [], 3]);
    expect((await machine.ending("cm12")).state).toBe("open");
    // Another tag, and the tag without its alias, are not the answer either.
    await upshot(machine, ec2, (peer) => {
      peer.send(op.aliasSend(peer.pid(), reference), tuple(peer.ref(), atom("forged")));
      peer.send(op.aliasSend(peer.pid(), reference), tuple(reference, atom("forged")));
      peer.send(op.aliasSend(peer.pid(), reference), atom("forged"));
    });
    expect((await machine.ending("cm12")).state).toBe("open");
    const twice = await upshot(machine, ec2, (peer) => {
      answer(peer, atom("right"));
      answer(peer, atom("again"));
    });
    expect(await machine.ended("cm12")).toMatchObject({ state: "answered", value: "right" });
    expect([twice.stands, twice.unsolicited]).toEqual([true, 1]);
  });

  it("CM-04, CM-05 SPAWN_REPLY by bob is dropped; one of ec2 with a link nobody asked for ends the session", async () => {
    const { ec2, bob } = await twoPeers();
    await machine.ask("spawn", { key: "cm04", to: EC2, fn: "worker" });
    const asked = await ec2.hears(({ op: what }) => what === 29);
    const reference = referenceIn(asked.text);
    const came = await upshot(machine, bob, (peer) => peer.send(op.spawnReply(reference, main(peer), 2, peer.pid(7))));
    expect([came.stands, came.unsolicited]).toEqual([true, 1]);
    expect((await machine.ending("cm04")).state).toBe("open");
    const mark = machine.victim.events.length;
    ec2.send(op.spawnReply(reference, main(ec2), 3, ec2.pid(7)));
    expect(await ec2.settles()).toBe(false);
    expect((await machine.victim.down(EC2, mark))["reason"]).toBe("SPAWN_REPLY_FORGED");
    expect((await machine.ended("cm04")).state).toBe("failed");
  });

  it("CM-23 a DOWN needs reference, process and peer of the monitor, and comes once", async () => {
    const { ec2, bob } = await twoPeers();
    await machine.ask("monitor", { key: "cm23", name: "jobs", to: EC2 });
    const asked = await ec2.hears(({ op: what, text }) => what === 19 && text.includes("jobs"));
    const reference = referenceIn(asked.text);
    const watcher = (peer: Attacker): Bytes => {
      const [, id = "0", serial = "0"] = /<my_desktop@home\.(\d+)\.(\d+)>/.exec(asked.text) ?? [];
      return peer.theirPid({ id: Number(id), serial: Number(serial) });
    };
    await upshot(machine, bob, (peer) =>
      peer.send(op.payloadMonitorExit(atom("jobs"), watcher(peer), reference), atom("forged")),
    );
    const wrong = await upshot(machine, ec2, (peer) => {
      peer.send(op.payloadMonitorExit(atom("other"), watcher(peer), reference), atom("forged"));
      peer.send(op.payloadMonitorExit(peer.pid(), watcher(peer), reference), atom("forged"));
      peer.send(op.payloadMonitorExit(atom("jobs"), watcher(peer), peer.theirRef()), atom("forged"));
      peer.send(op.payloadMonitorExit(atom("jobs"), target(peer, "jobs"), reference), atom("forged"));
    });
    expect([wrong.stands, wrong.unsolicited]).toEqual([true, 4]);
    expect((await machine.ending("cm23")).downs).toEqual([]);
    await upshot(machine, ec2, (peer) => {
      peer.send(op.payloadMonitorExit(atom("jobs"), watcher(peer), reference), atom("over"));
      peer.send(op.payloadMonitorExit(atom("jobs"), watcher(peer), reference), atom("again"));
    });
    expect((await machine.ended("cm23")).downs).toEqual(["over"]);
  });

  it("CM-24, CM-25 bob cannot take back what ec2 watches and is linked to", async () => {
    const { ec2, bob } = await twoPeers();
    const watch = ec2.monitor(target(ec2, "mortal"));
    ec2.send(op.link(ec2.pid(5), target(ec2, "mortal")));
    expect(await ec2.settles()).toBe(true);
    await upshot(machine, bob, (peer) => {
      peer.send(op.demonitor(peer.pid(), target(peer, "mortal"), peer.ref()));
      peer.send(op.unlinkId(1, peer.pid(5), target(peer, "mortal")));
      peer.send(op.unlinkIdAck(1, peer.pid(5), target(peer, "mortal")));
    });
    await machine.ask("unregister", { name: "mortal" });
    await ec2.hears(({ op: what, text }) => what === 28 && text.includes(shown(watch)) && !text.includes("denied"));
    await ec2.hears(({ op: what, text }) => what === 24 && !text.includes("denied"));
    // Every UNLINK_ID is acknowledged; that says nothing.
    expect(bob.said().filter((text) => !text.startsWith("{36,"))).toEqual([]);
    await again("mortal");
  });
});

async function again(name: string): Promise<void> {
  await machine.ask("again", { name });
  machine.pids = await machine.ask("pids");
}

describe("allowed by an explicit rule", () => {
  const byEc2 = async (attack: (peer: Attacker) => void): Promise<Upshot> =>
    upshot(machine, await machine.attacker(EC2), attack);

  it("CM-01 a function by its name, with monitor and link of its own", async () => {
    const peer = await machine.attacker(EC2);
    const came = await upshot(machine, peer, (it) =>
      it.spawn(["sallyport_fn", "worker", 1], list(int(7)), "monitor", "link"),
    );
    expect([came.denied, came.arrived]).toEqual([0, ["worker [7]"]]);
    expect(came.said[0]).toMatch(/^\{31,#Ref<.*>,<.*>,3,<my_desktop@home\..*>\}$/);
    await peer.hears(({ op: what, text }) => what === 28 && text.endsWith(" normal"));
    await peer.hears(({ op: what, text }) => what === 24 && text.endsWith(" normal"));
  });

  it("CM-01 M:F/A by erpc, exactly that one", async () => {
    const peer = await machine.attacker(EC2);
    const came = await upshot(machine, peer, (it) => it.rpc("jobs", "run", list(bin("x"))));
    expect([came.denied, came.arrived]).toEqual([0, ['jobs:run/1 [<<"x">>]']]);
    await peer.hears(({ op: what, text }) => what === 28 && text.includes(',return,<<"x">>}'));
    const others = await upshot(machine, peer, (it) => {
      it.rpc("jobs", "run", list(int(1), int(2)));
      it.rpc("Elixir.jobs", "run", list(int(1)));
      it.spawn(["jobs", "run", 1], list(int(1)));
      it.rpc("metrics", "all", NIL);
    });
    expect([others.denied, others.arrived]).toEqual([4, []]);
    for (const text of others.said) expect(text).toMatch(EPERM);
  });

  it("CM-10 send, call and cast, each as it is, and another name still not", async () => {
    const peer = await machine.attacker(EC2);
    const came = await upshot(machine, peer, (it) => {
      it.regSend("jobs", bin("sent"));
      it.cast("jobs", bin("cast"));
      it.call("jobs", bin("called"));
      it.send(op.sendSender(it.pid(), target(it, "jobs")), bin("by pid"));
      it.regSend("private", bin("sent"));
    });
    expect(came.arrived).toEqual([
      'jobs.info <<"sent">>',
      'jobs.cast <<"cast">>',
      'jobs.call <<"called">>',
      'jobs.info <<"by pid">>',
    ]);
    expect(came.denied).toBe(1);
    await peer.hears(({ op: what, text }) => what === 33 && text.includes('{done,<<"called">>}'));
  });

  it("CM-13, CM-14 link: an EXIT over it is a message, never a death", async () => {
    const came = await byEc2((peer) => {
      peer.send(op.link(peer.pid(), target(peer, "machine")));
      peer.send(op.payloadExit(peer.pid(), target(peer, "machine")), atom("kill"));
    });
    expect([came.said, came.denied]).toEqual([[], 0]);
    expect(came.arrived).toEqual([expect.stringMatching(/^machine\.info \{'EXIT',.*,kill\}$/)]);
  });

  it("CM-13 a link ends as a message too when the connection does", async () => {
    const peer = await machine.attacker(EC2);
    await upshot(machine, peer, (it) => it.send(op.link(it.pid(), target(it, "machine"))));
    peer.destroy();
    const arrived = await eventually(
      () => machine.arrived(),
      (lines) => lines.length > 0,
    );
    expect(arrived).toEqual([expect.stringMatching(/^machine\.info \{'EXIT',.*,noconnection\}$/)]);
  });

  it("CM-16 exit: the named process ends, and no other", async () => {
    const came = await byEc2((peer) => {
      peer.send(op.exit2(peer.pid(), target(peer, "jobs"), atom("kill")));
      peer.send(op.exit2(peer.pid(), target(peer, "mortal"), atom("kill")));
    });
    expect([came.denied, await everyoneLives(machine)]).toEqual([1, ["mortal"]]);
    await again("mortal");
  });

  it("CM-19 io: an io_request to the named process; GROUP_LEADER is never taken", async () => {
    const came = await byEc2((peer) => {
      const request = tuple(
        atom("io_request"),
        peer.pid(),
        peer.ref(),
        tuple(atom("put_chars"), atom("unicode"), bin("x")),
      );
      peer.send(op.sendSender(peer.pid(), target(peer, "printer")), request);
      peer.send(op.sendSender(peer.pid(), target(peer, "jobs")), request);
      peer.send(op.groupLeader(peer.pid(), target(peer, "printer")));
    });
    expect(came.arrived).toEqual([expect.stringMatching(/^printer\.info \{io_request,/)]);
    expect(came.denied).toBe(2);
  });

  it("CM-21 monitor: noproc is only for who may watch that very target", async () => {
    await machine.ask("unregister", { name: "slow" });
    const came = await byEc2((peer) => {
      peer.monitor(atom("slow"));
      peer.monitor(atom("nobody"));
    });
    expect(came.said).toEqual([expect.stringMatching(DOWN_GONE), expect.stringMatching(DOWN)]);
    await again("slow");
  });

  it("CM-22 what is allowed has bounds all the same", async () => {
    const peer = await machine.attacker(EC2);
    const came = await upshot(machine, peer, (it) => {
      const all = Array.from({ length: 5_000 }, () =>
        it.framed(op.spawnRequest(it.ref(), it.pid(), it.pid(), ["sallyport_fn", "stay", 0]), NIL),
      );
      it.raw.write(Buffer.concat(all));
    });
    const started = came.said.filter((text) => /^\{31,.*<my_desktop@home\..*>\}$/.test(text)).length;
    expect([came.stands, came.said.length]).toEqual([true, 5_000]);
    expect(started).toBeLessThanOrEqual(4_096);
    await machine.ask("release");
    const processes = await eventually(
      async () => (await machine.health()).processes,
      (count) => count < 100,
    );
    expect(processes).toBeLessThan(100);
  });

  it("CM-27 a traced message to a name that is granted", async () => {
    const came = await byEc2((peer) => peer.send(op.regSendTraced(peer.pid(), "jobs", int(42)), int(7)));
    expect(came.arrived).toEqual(["jobs.info 7"]);
  });

  it("system: the named process, with its target spelled out", async () => {
    const came = await byEc2((peer) => {
      const request = (): Bytes => tuple(atom("system"), tuple(peer.pid(), alias(peer.ref())), atom("get_state"));
      peer.regSend("machine", request());
      peer.regSend("jobs", request());
    });
    expect(came.arrived).toEqual([expect.stringMatching(/^machine\.info \{system,/)]);
    expect(came.denied).toBe(1);
  });

  it("the address of a call must be the caller's own", async () => {
    const peer = await machine.attacker(EC2);
    const mark = machine.victim.events.length;
    peer.regSend("jobs", genCall(THIRD_PID, peer.ref(), int(1)));
    expect(await peer.settles()).toBe(false);
    expect((await machine.victim.down(EC2, mark))["reason"]).toBe("FORGED_IDENTIFIER");
    expect(await machine.arrived()).toEqual([]);
  });
});
