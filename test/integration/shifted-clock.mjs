// Loaded before a program: its wall clock goes forward by SHIFT_DAYS with SIGUSR2, as if so long had passed.
const now = Date.now;
let shiftMs = 0;
Date.now = () => now() + shiftMs;
process.on("SIGUSR2", () => {
  shiftMs += Number(process.env.SHIFT_DAYS) * 86_400_000;
});
