import type { SourcesOption } from "../carrier/source-list.ts";
import type { AcceptOption } from "../node/admission-api.ts";
import type { Field } from "./shape.ts";

/** From where connections are taken. */
export const SOURCES: Readonly<Record<keyof SourcesOption, Field>> = {
  sources: {
    shape: { kind: "list", of: { kind: "string", example: "203.0.113.0/24" } },
    says: "Addresses and ranges that connections are taken from; peers: those of the configured peers. Default: every address.",
  },
  refuse: {
    shape: { kind: "list", of: { kind: "string", example: "203.0.113.66" } },
    says: "Addresses and ranges that no connection is taken from, whatever sources says. Default none.",
  },
};

/** From where and by whom. */
export const ACCEPT: Readonly<Record<keyof AcceptOption, Field>> = {
  ...SOURCES,
  nodes: {
    shape: { kind: "list", of: { kind: "string", example: "shop@db1.example" } },
    says: "Names that may connect: name@host, each half a word or *. Default: every name.",
  },
};
