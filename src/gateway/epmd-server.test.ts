import { describe, expect, it } from "vitest";
import type { PlainSocketSink } from "../base/sockets.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import {
  type EpmdEntry,
  encodeAliveRequest,
  encodeNamesRequest,
  encodePortPleaseRequest,
  epmdEntry,
} from "../wire/epmd.ts";
import { AliveAnswerParser, PortAnswerParser } from "../wire/epmd-answers.ts";
import { EPMD_SERVER_DEADLINE_MS, EpmdServer, MAX_EPMD_CONNECTIONS_PER_ADDRESS } from "./epmd-server.ts";

function world() {
  const clock = new VirtualClock();
  const server = new EpmdServer({
    clock,
    random: new SeededRandom(5),
    names: new Map([["far", 4711]]),
    registrants: new Set(["near"]),
  });
  server.port = 4369;
  const connect = (host = "127.0.0.1") => {
    const it = { sent: Buffer.alloc(0), over: "", sink: undefined as PlainSocketSink | undefined };
    const socket = {
      write: (bytes: Uint8Array) => {
        it.sent = Buffer.concat([it.sent, bytes]);
      },
      end: () => {
        it.over ||= "ended";
      },
      destroy: () => {
        it.over ||= "destroyed";
      },
      keepAlive: () => undefined,
    };
    it.sink = server.accept(socket, host);
    return it;
  };
  const ask = (request: Buffer, host?: string) => {
    const it = connect(host);
    it.sink?.bytes(request);
    return it;
  };
  return { clock, server, connect, ask };
}

const alive = (sent: Buffer) => new AliveAnswerParser().push(sent);
const withLength = (body: Buffer) => Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]);

describe("EpmdServer", () => {
  it("finds configured names, says no to all others, and closes", () => {
    const { ask } = world();
    const found = ask(encodePortPleaseRequest("far"));
    expect(new PortAnswerParser().push(found.sent)).toMatchObject({ found: true, entry: { name: "far", port: 4711 } });
    expect(found.over).toBe("ended");
    const other = ask(encodePortPleaseRequest("other"));
    expect([other.sent.toString("hex"), other.over]).toEqual(["7701", "ended"]);
  });

  it("takes a request byte by byte", () => {
    const { connect } = world();
    const it = connect();
    for (const byte of encodePortPleaseRequest("far")) it.sink?.bytes(Buffer.from([byte]));
    expect(it.sent[0]).toBe(0x77);
  });

  it("lists configured names only, whoever is registered", () => {
    const { ask } = world();
    ask(encodeAliveRequest(epmdEntry("near", 99, false)));
    const list = ask(encodeNamesRequest()).sent;
    expect([list.readUInt32BE(0), list.toString("latin1", 4)]).toEqual([4369, "name far at port 4711\n"]);
  });

  it("keeps a registration to itself, and as long as its connection", () => {
    const { ask, server, clock } = world();
    const near = ask(encodeAliveRequest(epmdEntry("near", 99, false)));
    const first = alive(near.sent);
    expect([first?.result, near.over]).toEqual([0, ""]);
    clock.advance(60_000);
    expect(near.over).toBe("");
    expect(server.registeredAt("near")).toMatchObject({ host: "127.0.0.1", port: 99 });
    expect(ask(encodePortPleaseRequest("near")).sent.toString("hex")).toBe("7701");
    near.sink?.closed(undefined);
    expect(server.registeredAt("near")).toBeUndefined();
    const second = alive(ask(encodeAliveRequest(epmdEntry("near", 99, false))).sent);
    expect(second).toEqual({ result: 0, creation: (first?.creation ?? 0) + 1 });
  });

  it.each<[string, EpmdEntry, string | undefined]>([
    ["a name it was not told", epmdEntry("far", 99, false), undefined],
    ["another machine", epmdEntry("near", 99, false), "192.0.2.1"],
  ])("refuses the registration of %s", (_what, entry, host) => {
    const { ask, server } = world();
    const it = ask(encodeAliveRequest(entry), host);
    expect([it.sent.toString("hex"), it.over]).toEqual(["760100000063", "ended"]);
    expect(server.registeredAt(entry.name)).toBeUndefined();
  });

  it("refuses a name that is registered, and keeps the first", () => {
    const { ask, server } = world();
    ask(encodeAliveRequest(epmdEntry("near", 99, false)));
    const second = ask(encodeAliveRequest(epmdEntry("near", 66, false)));
    expect(alive(second.sent)?.result).toBe(1);
    second.sink?.closed(undefined);
    expect(server.registeredAt("near")?.port).toBe(99);
  });
});

describe("EpmdServer, attacked", () => {
  const forged = withLength(
    Buffer.concat([
      Buffer.from([0x78, 0, 99, 77, 0, 0, 6, 0, 5, 0, 30]),
      Buffer.from("near at port 1\nname bank at po"),
      Buffer.from([0, 0]),
    ]),
  );
  it.each<[string, Buffer]>([
    ["a name with a newline", forged],
    ["a lookup with a NUL", withLength(Buffer.from("zfa\0r"))],
    ["a lookup without a name", withLength(Buffer.from("z"))],
    ["a name of 256 bytes", withLength(Buffer.from(`z${"a".repeat(256)}`))],
    ["a request that is too long", Buffer.from([255, 255, 0x7a])],
    ["an empty request", Buffer.from([0, 0])],
    ["dump", withLength(Buffer.from("d"))],
    ["kill", withLength(Buffer.from("k"))],
    ["stop", withLength(Buffer.from("sfar"))],
    ["an unknown request", withLength(Buffer.from([1, 2, 3]))],
    ["two requests at once", Buffer.concat([encodeAliveRequest(epmdEntry("near", 9, false)), encodeNamesRequest()])],
    ["a port of 0", withLength(Buffer.from("780000 4d000006000500046e656172 0000".replaceAll(" ", ""), "hex"))],
  ])("answers %s with the end", (_what, bytes) => {
    const { ask, server } = world();
    const it = ask(bytes);
    expect(it.over).toBe("destroyed");
    expect([server.size, server.registeredAt("near")]).toEqual([0, undefined]);
  });

  it("ends a registration that goes on talking", () => {
    const { ask, server } = world();
    const near = ask(encodeAliveRequest(epmdEntry("near", 99, false)));
    near.sink?.bytes(Buffer.from([0]));
    expect([near.over, server.registeredAt("near")]).toEqual(["destroyed", undefined]);
  });

  it("ends who says nothing, dribbles or does not take its answer, after a deadline", () => {
    const { clock, connect, server } = world();
    const silent = connect();
    const slow = connect();
    slow.sink?.bytes(Buffer.from([0]));
    const deaf = connect();
    deaf.sink?.bytes(encodeNamesRequest());
    clock.advance(EPMD_SERVER_DEADLINE_MS - 1);
    slow.sink?.bytes(Buffer.from([9]));
    expect(server.size).toBe(3);
    clock.advance(1);
    expect([server.size, silent.over, slow.over]).toEqual([0, "destroyed", "destroyed"]);
  });

  it("serves so many connections of one address, and others meanwhile", () => {
    const { connect, ask, server } = world();
    const idle = Array.from({ length: MAX_EPMD_CONNECTIONS_PER_ADDRESS }, () => connect("192.0.2.1"));
    expect(connect("192.0.2.1").over).toBe("destroyed");
    expect(ask(encodePortPleaseRequest("far"), "192.0.2.2").over).toBe("ended");
    for (const it of idle) it.sink?.closed(undefined);
    expect(connect("192.0.2.1").over).toBe("");
    expect(server.size).toBe(2);
    server.close();
    expect(server.size).toBe(0);
  });
});
