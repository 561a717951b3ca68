import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { type ControlFlags, controlPathOf, ownControlPathOf } from "./control-path.ts";

const NAMED = "/etc/node.jsonc";

/** Where a command looks, and where `start` opens the socket. */
function places(flags: ControlFlags, config: Readonly<Record<string, unknown>> | undefined): (string | undefined)[] {
  const files = new FaultyFiles();
  const text = JSON.stringify({ name: "a@h", ...config });
  if (config !== undefined) files.put("/srv/shop/sallyport.jsonc", text);
  files.put(NAMED, text);
  const world = {
    files,
    random: new SeededRandom(1),
    environment: () => undefined,
    directory: "/srv/shop",
    hostname: "h",
  };
  return [controlPathOf(flags, world), ownControlPathOf(flags, world)];
}

describe("the control socket", () => {
  const beside = "/srv/shop/data/control.sock";
  const identity = { dir: "data/keys" };
  const both = (path: string | undefined): (string | undefined)[] => [path, path];

  it("is where --control says, and nowhere with --no-control", () => {
    expect(places({ control: "x.sock" }, { control: false, identity })).toEqual(both("/srv/shop/x.sock"));
    expect(places({ control: false, config: NAMED }, { control: { path: "y.sock" }, identity })).toEqual(
      both(undefined),
    );
  });

  it("is where the configuration says, relative to it", () => {
    expect(places({}, { control: { path: "run/y.sock" } })).toEqual(both("/srv/shop/run/y.sock"));
    expect(places({ config: NAMED }, { control: false, identity })).toEqual(both(undefined));
  });

  it("lies beside a configuration that was named, or that has an identity", () => {
    expect(places({ config: NAMED }, {})).toEqual(both("/etc/data/control.sock"));
    expect(places({}, { identity })).toEqual(both(beside));
  });

  it("is not opened beside a configuration that only lies around, and still looked for there", () => {
    expect(places({}, {})).toEqual([beside, undefined]);
  });

  it("lies in a key directory that is not the configuration's", () => {
    expect(places({ keyDir: "k", config: false }, undefined)).toEqual(both("/srv/shop/k/control.sock"));
    expect(places({ keyDir: "k" }, { identity })).toEqual(both("/srv/shop/k/control.sock"));
    expect(places({ keyDir: "data/keys" }, { identity })).toEqual(both(beside));
    expect(places({ keyDir: "data/keys" }, {})).toEqual(both(beside));
  });

  it("is nowhere when nothing names a place", () => {
    expect(places({}, undefined)).toEqual(both(undefined));
    expect(places({ config: false }, { identity })).toEqual(both(undefined));
  });
});
