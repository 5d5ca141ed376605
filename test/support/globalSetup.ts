import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import {
  type ControlPlane,
  controlPlane,
  endLeftovers,
  type LocalFailure,
  ownNatsServer
} from "../../infra/local/index.ts"
import type { SharedControlPlane } from "./parts.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The names of files that were asked for; of all when it is empty. */
    readonly filter: Array<string>
    /** One for each worker; `test/support/parts.ts` has the one of a file. */
    readonly controlPlanes: ReadonlyArray<SharedControlPlane>
    /** Why no nats-server can be started here; empty when it can. */
    readonly natsUnavailable: string
  }
}

const say = (line: string) => console.log(line)

const shared = (made: Result.Result<ControlPlane, LocalFailure>): SharedControlPlane => {
  if (Result.isFailure(made)) return { unavailable: made.failure.message }
  const { etcd, apiServer, ...plain } = made.success
  return { ...plain, own: etcd !== undefined && apiServer !== undefined }
}

/** How many: no more than there are files to run on them. */
const countOf = async (project: TestProject): Promise<number> => {
  const { filter } = project.getProvidedContext()
  const files = await project.vitest.getRelevantTestSpecifications(filter)
  return Math.min(project.config.maxWorkers, files.filter((file) => file.project === project).length)
}

/**
 * A control plane for each worker, and a look whether the suites can have nats-servers. Where a part cannot be had,
 * the suites that need it are skipped with the reason, and the others run.
 */
const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  // What one says of itself is true of all.
  const planes = Array.from({ length: await countOf(project) }, (_, index) =>
    Effect.result(controlPlane(index === 0 ? { say } : {})).pipe(Scope.provide(scope))
  )
  const [kubernetes, nats] = await Effect.runPromise(
    Effect.all(
      [
        Effect.all(planes, { concurrency: "unbounded" }),
        // Built here if it has to be, so that no test's time is spent on that.
        Effect.result(Effect.scoped(ownNatsServer({ say })))
      ],
      { concurrency: 2 }
    )
  )
  const failures = [...kubernetes, nats].flatMap((part) =>
    part._tag === "Failure" ? [part.failure.message] : []
  )
  for (const message of new Set(failures)) say(message)
  project.provide("controlPlanes", kubernetes.map(shared))
  project.provide("natsUnavailable", nats._tag === "Failure" ? nats.failure.message : "")
  return async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    // What workers have started that a Ctrl-C has ended first.
    await Effect.runPromise(endLeftovers())
  }
}

export default setup
