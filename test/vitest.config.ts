import { availableParallelism } from "node:os"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Files with real parts that run side by side, with a control plane each. They wait more than they work: for leases,
 * lifetimes and the silence of who has died. More than that, and tests would test each other, as the parts share the
 * machine's cores.
 */
const sideBySide = 4
/** As containers the same parts take more. */
const containersSideBySide = 3

/** What takes longest begins first, so that nothing of it runs on alone at the end; labs of nodes three at a time. */
const first = [
  // Of those with thousands of addresses one at a time, beside those with few.
  ...["loss", "random", "nats", "nats-few"],
  ...["node-loss", "node-nats", "node-binding", "fleet"],
  ...["fleet-host", "node-conflict", "node-asleep", "bridge-cluster", "node-random"],
  ...["node-move", "host-recovery", "functions-crash", "bridge-nats", "lan"],
  // Of those without parts.
  ...["runtime", "publisher", "manifest"]
]

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = first.indexOf(basename(moduleId, ".test.ts"))
      return at < 0 ? first.length : at
    }
    return files.toSorted((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId))
  }
}

/**
 * Of the integration suite, what bridge, functions, hosts and NATS do to each other. Not once more: what lives in the
 * lab's network namespaces, where a container of the host's network is not (`lan*`, `node*`, `kernel`), and what asks the
 * same API server about files of ours, whatever it runs in (`crds`, `deploy`, `permissions`, `cli-ending`).
 */
const onContainers = [
  "test/integration/{bridge,fleet,functions,host}*.test.ts",
  "test/integration/cli-{functions,parked,trace}.test.ts",
  "test/integration/{docker,local,nats-identities,permissions-live,seed}.test.ts",
  "test/contract/**/*.test.ts"
]

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    sequence: { sequencer: LongestFirst },
    // What went wrong is not to be looked for among what went as it should.
    silent: "passed-only",
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          // Pure code, or a store of each test's own: what would be isolated is only the import of Effect, again and again.
          isolate: false,
          // They do not wait: two cores are worth it, where the default leaves one of two unused.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          include: ["functions/**/*.test.ts", "runtime/**/*.test.ts", "infra/**/*.test.ts", "test/*.test.ts"]
        }
      },
      {
        extends: true,
        test: {
          name: "integration",
          // As above; what files share are their worker's parts alone.
          isolate: false,
          include: ["test/integration/**/*.test.ts", "test/contract/**/*.test.ts"],
          globalSetup: ["test/support/globalSetup.ts"],
          // A cluster that is pointed to is one.
          maxWorkers: process.env.EXTIP_KUBECONFIG ? 1 : sideBySide,
          sequence: { groupOrder: 1 },
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
          maxWorkers: process.env.EXTIP_KUBECONFIG ? 1 : 2,
          sequence: { groupOrder: 2 },
          testTimeout: 600_000,
          hookTimeout: 120_000
        }
      },
      {
        extends: true,
        test: {
          // Real kubelets, as root: `npm run test:cluster`.
          name: "cluster",
          include: ["test/cluster/cluster.test.ts"],
          // One goes on where the one before it has stopped.
          bail: 1,
          testTimeout: 300_000
        }
      },
      { extends: true, test: { name: "soak", include: ["test/cluster/soak.test.ts"] } },
      {
        extends: true,
        test: {
          // With the parts as containers: `npm run test:containers`.
          name: "containers",
          isolate: false,
          include: ["test/containers/**/*.test.ts", ...onContainers],
          globalSetup: ["test/containers/globalSetup.ts"],
          env: { EXTIP_PARTS: "containers" },
          maxWorkers: containersSideBySide,
          sequence: { groupOrder: 3 },
          testTimeout: 60_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
