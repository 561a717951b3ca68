// Where the benchmarks take Sallyport from: the build in lib/, or the directory named by SALLYPORT_LIB.
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const DEFAULT = fileURLToPath(new URL("../lib", import.meta.url));

export const LIBRARY = resolve(process.env.SALLYPORT_LIB ?? DEFAULT);

/** Imports a module of the build, such as `node/node.js`. */
export function fromLibrary(path) {
  return import(pathToFileURL(resolve(LIBRARY, path)).href);
}

/** `createNode`, whether or not the build has its front door yet. */
export async function loadCreateNode() {
  try {
    return (await fromLibrary("create-node.js")).createNode;
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    return (await fromLibrary("index.js")).createNode;
  }
}
