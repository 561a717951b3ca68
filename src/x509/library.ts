import { createRequire } from "node:module";
import { provideReflectMetadata } from "./reflect-metadata.ts";

type Library = typeof import("@peculiar/x509");

let loaded: Library | undefined;

/**
 * The certificate library, loaded when it is first asked for: it takes a third of the time in which a command starts, and most
 * commands neither make a certificate nor look into the extensions of one.
 */
export function x509Library(): Library {
  if (loaded === undefined) {
    provideReflectMetadata();
    loaded = createRequire(import.meta.url)("@peculiar/x509") as Library;
  }
  return loaded;
}
