import { describe, expect, it } from "vitest";
import { EventHub } from "./event-hub.ts";

const warning = (reason: string) => ({ reason, message: "m" });

describe("EventHub", () => {
  it("tells every listener in the order of listening, until it is taken off", () => {
    const hub = new EventHub(() => {});
    const heard: string[] = [];
    const first = ({ reason }: { reason: string }) => void heard.push(`1${reason}`);
    hub.on("warning", first);
    hub.on("warning", first);
    hub.on("warning", ({ reason }) => void heard.push(`2${reason}`));
    hub.emit("warning", warning("A"));
    hub.off("warning", first);
    hub.off("nodeup", () => {});
    hub.emit("warning", warning("B"));
    expect(heard).toEqual(["1A", "2A", "2B"]);
  });

  it("knows whether somebody listens", () => {
    const hub = new EventHub(() => {});
    const listener = () => {};
    expect(hub.has("denied")).toBe(false);
    hub.on("denied", listener);
    expect([hub.has("denied"), hub.has("warning")]).toEqual([true, false]);
    hub.off("denied", listener);
    expect(hub.has("denied")).toBe(false);
  });

  it("keeps a listener's error away from the emitter and from the other listeners", () => {
    const errors: unknown[] = [];
    const hub = new EventHub((error) => errors.push(error));
    const heard: string[] = [];
    const bug = new Error("x");
    hub.on("warning", () => {
      throw bug;
    });
    hub.on("warning", () => void heard.push("second"));
    hub.emit("warning", warning("A"));
    expect([errors, heard]).toEqual([[bug], ["second"]]);
  });

  it("lets listeners come and go while it tells", () => {
    const hub = new EventHub(() => {});
    const heard: string[] = [];
    const late = () => void heard.push("late");
    hub.on("warning", () => {
      hub.on("warning", late);
    });
    hub.emit("warning", warning("A"));
    expect(heard).toEqual([]);
    hub.emit("warning", warning("A"));
    expect(heard).toEqual(["late"]);
  });

  it("tells what happens because of a listener after all have heard of what came before it", () => {
    const errors: unknown[] = [];
    const hub = new EventHub((error) => errors.push(error));
    const heard: string[] = [];
    hub.on("warning", ({ reason }) => {
      if (reason === "A") for (const next of ["B", "C"]) hub.emit("warning", warning(next));
      if (reason === "B") throw new Error("x");
    });
    hub.on("warning", ({ reason }) => void heard.push(reason));
    hub.emit("warning", warning("A"));
    hub.emit("warning", warning("D"));
    expect([heard, errors.length]).toEqual([["A", "B", "C", "D"], 1]);
  });
});
