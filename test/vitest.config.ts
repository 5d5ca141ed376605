import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          // Pure code, or a store of each test's own: what would be isolated is only the import of Effect, again and again.
          isolate: false,
          include: ["functions/**/*.test.ts", "runtime/**/*.test.ts", "infra/**/*.test.ts", "test/*.test.ts"]
        }
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/contract/**/*.test.ts"],
          globalSetup: ["test/support/globalSetup.ts"],
          // The parts are real and share the machine's cores: side by side, tests would mostly test each other.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000
        }
      },
      {
        extends: true,
        test: {
          // Thousands of addresses, outages of minutes, random faults: `npm run test:e2e`, not part of `npm test`.
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/support/globalSetup.ts"],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
