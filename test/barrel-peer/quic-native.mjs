import { createRequire } from "node:module";

/** The native quiche object of this platform's package. */
export const native = createRequire(import.meta.url)(`@infisical/quic-${process.platform}-${process.arch}`);
