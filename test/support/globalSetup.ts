import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import { controlPlane, endLeftovers, ownNatsServer } from "../../infra/local/index.ts"
import type { SharedControlPlane } from "./parts.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly controlPlane: SharedControlPlane
    /** Why no nats-server can be started here; empty when it can. */
    readonly natsUnavailable: string
  }
}

const say = (line: string) => console.log(line)

/**
 * One control plane for all suites, and a look whether each of them can have a nats-server. Where a part
 * cannot be had, the suites that need it are skipped with the reason, and the others run.
 */
const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  const [kubernetes, nats] = await Effect.runPromise(
    Effect.all(
      [
        Effect.result(controlPlane({ say })).pipe(Scope.provide(scope)),
        // Built here if it has to be, so that no test's time is spent on that.
        Effect.result(Effect.scoped(ownNatsServer({ say })))
      ],
      { concurrency: 2 }
    )
  )
  for (const part of [kubernetes, nats]) if (part._tag === "Failure") say(part.failure.message)
  if (kubernetes._tag === "Failure")
    project.provide("controlPlane", { unavailable: kubernetes.failure.message })
  else {
    const { etcd, apiServer, ...plain } = kubernetes.success
    project.provide("controlPlane", { ...plain, own: etcd !== undefined && apiServer !== undefined })
  }
  project.provide("natsUnavailable", nats._tag === "Failure" ? nats.failure.message : "")
  return async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    // What workers have started that a Ctrl-C has ended first.
    await Effect.runPromise(endLeftovers())
  }
}

export default setup
