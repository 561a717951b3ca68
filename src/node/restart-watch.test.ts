import { describe, expect, it } from "vitest";
import { addMs } from "../base/clock.ts";
import { FILE_LOOK_MS } from "../base/file-watch.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { watchForRestart } from "./restart-watch.ts";

describe("the files that a node was started from", () => {
  it("are told of when they change, each once for each change, until it is stopped", () => {
    const [files, clock] = [new FaultyFiles(), new VirtualClock()];
    files.put("/etc/vm.args", "-name a@h");
    files.put("/etc/ssl_dist.conf", "[].");
    const told: string[] = [];
    const watch = watchForRestart(["/etc/vm.args", "/etc/ssl_dist.conf"], { files, clock }, (reason, message) => {
      told.push(`${reason} ${message.split(" ")[0]?.split("/").at(-1)?.replace('"', "")}`);
    });
    const look = (): void => clock.advance(addMs(clock.now(), 3 * FILE_LOOK_MS) - clock.now());
    look();
    expect(told).toEqual([]);
    files.put("/etc/vm.args", "-name b@h");
    look();
    look();
    expect(told).toEqual(["RESTART_NEEDED vm.args"]);
    files.put("/etc/ssl_dist.conf", "[{server, []}].");
    look();
    expect(told).toEqual(["RESTART_NEEDED vm.args", "RESTART_NEEDED ssl_dist.conf"]);
    watch.stop();
    files.put("/etc/vm.args", "-name longer@h");
    look();
    expect(told).toHaveLength(2);
  });
});
