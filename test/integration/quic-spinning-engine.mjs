// The QUIC engine, and on SIGUSR2 it hangs as native code in an endless loop does.
import "../../lib/quic-engine/main.js";

process.on("SIGUSR2", () => {
  for (;;);
});
