import { defineConfig } from "vitest/config";

// Without isolation the files of one worker share loaded modules, which saves a quarter of the time. So no module of a rig
// registers hooks when it is imported, and every file gives back what it opened.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          isolate: false,
          include: ["src/**/*.test.ts"],
          exclude: ["src/**/*-model.test.ts", "src/**/*.long.test.ts"],
          testTimeout: 20_000,
        },
      },
      { test: { name: "models", include: ["src/**/*-model.test.ts", "src/**/*.long.test.ts"], testTimeout: 300_000 } },
      { test: { name: "structure", include: ["test/structure/*.test.ts"], testTimeout: 60_000 } },
      {
        test: {
          name: "integration",
          isolate: false,
          include: ["test/integration/*.test.ts"],
          exclude: ["test/integration/*.long.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "interop",
          isolate: false,
          include: ["test/interop/*.test.ts"],
          exclude: ["test/interop/*.long.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "long",
          include: ["test/barrel-peer/*.test.ts", "test/integration/*.long.test.ts", "test/interop/*.long.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: { name: "soak", include: ["test/soak/*.test.ts"], testTimeout: 3_600_000, hookTimeout: 120_000 },
      },
      { test: { name: "fuzz", include: ["test/fuzz/*.test.ts"], testTimeout: 3_600_000, fileParallelism: false } },
    ],
  },
});
